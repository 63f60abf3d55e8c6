package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }() // nobody connects
	return l.Addr().(*net.TCPAddr).Port
}

func TestMetricsTellWhatIsTrueAndPleasePromtool(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1"), "b.hcl": strings.Replace(chain("b", "1", "1", "1"), "service \"b\" {", "service \"b\" {\n  orchestrate = \"manual\"", 1)})
	n.extra = fmt.Sprintf("metrics {\n listen = \"127.0.0.1:%d\"\n}\n", port)
	n.start()
	n.isUp("a")
	before := n.pids()
	kill(t, before["a/app.beside"])
	n.another(before, "a/app.beside")
	n.isUp("a")
	n.write("a.hcl", "nonsense")
	n.spec("invalid", "")
	page, err := metrics(port)
	must(t, err)
	samples := parse(t, page)
	for name, want := range map[string]string{
		`svcctl_service_up{namespace="default",service="a"}`:                                                "1",
		`svcctl_service_up{namespace="default",service="b"}`:                                                "0",
		`svcctl_service_state{namespace="default",service="a",state="up"}`:                                  "1",
		`svcctl_service_state{namespace="default",service="a",state="down"}`:                                "0",
		`svcctl_service_state{namespace="default",service="b",state="down"}`:                                "1",
		`svcctl_resource_state{kind="app",namespace="default",resource="app.first",service="a",state="up"}`: "1",
		`svcctl_resource_restarts_total{kind="app",namespace="default",resource="app.beside",service="a"}`:  "1",
		`svcctl_spec_valid`:      "0",
		`svcctl_spec_revision`:   "1",
		`svcctl_cluster_quorate`: "1",
	} {
		if got, ok := samples[name]; !ok || got != want {
			t.Errorf("%s is %q, not %s", name, got, want)
		}
	}
	if t.Failed() {
		t.Logf("%s", page)
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Log("promtool (Debian package prometheus) is not installed: the page was only parsed here")
		return
	}
	c := exec.Command("promtool", "check", "metrics")
	c.Stdin = strings.NewReader(page)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
}

func metrics(port int) (string, error) {
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	return readAll(answer), nil
}

// parse reads the text format: each sample has a type before it, and no name and
// labels come twice.
func parse(t *testing.T, page string) map[string]string {
	t.Helper()
	samples, types := map[string]string{}, map[string]string{}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			types[name] = kind
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, value := line[:at], line[at+1:]
		if _, twice := samples[name]; twice {
			t.Errorf("%s comes twice", name)
		}
		samples[name] = value
		family, _, _ := strings.Cut(name, "{")
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(family, suffix); ok && types[base] != "" {
				family = ""
				break
			}
		}
		if family != "" {
			t.Errorf("%s has no type", family)
		}
	}
	return samples
}

func TestTheQuickstartRunsHealsAndNeedsNoRoot(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	text, err := os.ReadFile(filepath.Join(module, "examples", "quickstart", "services", "hello.hcl"))
	must(t, err)
	hcl := strings.Replace(string(text), "= 8780", fmt.Sprintf("= %d", port), 1)
	if hcl == string(text) {
		t.Fatal("the example does not say its port once")
	}
	n := newNode(t, map[string]string{"hello.hcl": hcl})
	must(t, os.MkdirAll(n.path("home", "bin"), 0o755))
	must(t, os.Symlink(filepath.Join(bin, "quickstart-web"), n.path("home", "bin", "quickstart-web")))
	n.labels = fmt.Sprintf("labels = { home = %q }", n.path("home"))
	n.start()
	n.isUp("hello")
	page := func() string {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = answer.Body.Close() }() // only read from
		return readAll(answer)
	}
	says := func(words string) {
		t.Helper()
		await(t, "the page says "+words, func() string {
			if got := page(); !strings.HasPrefix(got, words) {
				return got
			}
			return ""
		})
	}
	says("Hello, says process")
	before := n.pids()
	kill(t, before["hello/app.greeting"])
	n.another(before, "hello/app.greeting", "hello/app.front")
	says("Hello, says process")
	before = n.pids()
	n.write("hello.hcl", strings.Replace(hcl, `"Hello"`, `"Good evening"`, 1))
	n.another(before, "hello/app.greeting", "hello/app.front")
	says("Good evening, says process")
}

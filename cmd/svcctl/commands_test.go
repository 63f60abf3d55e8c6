package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

func TestExitCodesAreTheContract(t *testing.T) {
	nowhere := "unix://" + filepath.Join(t.TempDir(), "no.sock")
	w, run := newWorld(t)
	w.broken["start shop/web/app.main"] = ""
	if code, _, stderr := run("freeze", "--reason", "disk swap", "orders"); code != exitDone {
		t.Fatal(stderr)
	}
	for _, step := range []struct {
		line string
		code int
		says string
	}{
		{"status", exitDone, ""},
		{"start orders", exitRefused, "frozen"},
		{"start nosuch", exitUsage, "there is no service nosuch"},
		{"start", exitUsage, "no service named"},
		{"start --all orders", exitUsage, "both --all and services"},
		{"start [", exitUsage, "not a pattern"},
		{"start --timeout 0s orders", exitUsage, "must be positive"},
		{"start orders --resource app.nosuch", exitRefused, "frozen"},
		{"start shop/web --resource app.nosuch", exitFailed, "no resource app.nosuch"},
		{"purge orders", exitRefused, "declared"},
		{"freeze --for -1h orders", exitUsage, "must be positive"},
		{"explode", exitUsage, "unknown command"},
		{"status --colour", exitUsage, "unknown flag"},
		{"why", exitUsage, "accepts 1 arg"},
		{"--server nonsense status", exitUsage, "cannot use server"},
		{"--server " + nowhere + " status", exitNoAgent, "no agent answers"},
		{"graph --format png orders", exitUsage, "png"},
		{"logs orders/app.nosuch", exitUsage, "there is no resource"},
		{"logs nosuch", exitUsage, "there is no service"},
		{"validate /nosuch", exitUsage, "cannot read"},
		{"explain nosuch", exitUsage, "nothing called nosuch"},
	} {
		code, _, stderr := run(strings.Fields(step.line)...)
		if code != step.code || !strings.Contains(stderr, step.says) {
			t.Errorf("%s: exit %d, want %d, says %q", step.line, code, step.code, stderr)
		}
	}
}

func TestStopWaitsAndTellsWhatHappens(t *testing.T) {
	_, run := newWorld(t)
	code, _, stderr := run("stop", "orders")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	main, data := strings.Index(stderr, "orders/app.main down"), strings.Index(stderr, "orders/app.data down")
	if main < 0 || data < 0 || main > data {
		t.Errorf("the progress is not in order:\n%s", stderr)
	}
	if _, out, _ := run("status", "--json", "orders"); !strings.Contains(out, `"state": "down"`) {
		t.Errorf("it is not down: %s", out)
	}
}

func TestStartOfAServiceThatIsUpIsDoneAtOnce(t *testing.T) {
	_, run := newWorld(t)
	if code, _, stderr := run("start", "orders"); code != exitDone {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestRestartIsDoneOnlyOnceEverythingCameBack(t *testing.T) {
	w, run := newWorld(t)
	before, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := run("restart", "orders")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	after, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range after.Service("orders").Resources {
		if r.State != engine.Up || !r.Since.After(before.Service("orders").Resources[i].Since) {
			t.Errorf("%s is %s since %s", r.Address, r.State, r.Since)
		}
	}
}

func TestARestartOfOneResourceLeavesTheOthers(t *testing.T) {
	_, run := newWorld(t)
	code, _, stderr := run("restart", "--tag", "front", "orders")
	if code != exitDone || strings.Contains(stderr, "app.data") || !strings.Contains(stderr, "orders/app.main up") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestAStartThatFailsForGoodSaysWhy(t *testing.T) {
	w, run := newWorld(t)
	if code, _, stderr := run("stop", "orders"); code != exitDone {
		t.Fatal(stderr)
	}
	w.mu.Lock()
	w.broken["start orders/app.main"] = "cannot start orders/app.main: no such user"
	w.mu.Unlock()
	ended := make(chan struct{})
	go passTime(w, ended)
	code, _, stderr := run("start", "orders")
	close(ended)
	if code != exitFailed || !strings.Contains(stderr, "svcctl: cannot start orders: ") || !strings.Contains(stderr, "no such user") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// passTime lets the retries come due until ended is closed.
func passTime(w *world, ended <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			w.mu.Lock()
			w.now = w.now.Add(200 * time.Millisecond)
			w.mu.Unlock()
			w.step(engine.Tick{})
		}
	}
}

func TestAStartThatTakesTooLongIsLate(t *testing.T) {
	w, run := newWorld(t)
	w.held["start shop/web/app.main"] = true
	code, _, stderr := run("start", "--timeout", "100ms", "shop/*")
	if code != exitTimeout || !strings.Contains(stderr, "not done within 100ms") || !strings.Contains(stderr, "starting") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := run("start", "--no-wait", "shop/web"); code != exitDone || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestTheTableFitsInEightyColumns(t *testing.T) {
	w, run := newWorld(t)
	w.spec.State, w.spec.Message = api.SpecConflict, "the directory was changed from revision 11"
	_, out, _ := run("status")
	want := `spec conflict: the directory was changed from revision 11; revision 12 goes on
SERVICE   STATE     NODE  WHY
orders    up        n1
shop/web  down      n1    `
	if !strings.HasPrefix(out, want) {
		t.Errorf("got:\n%s", out)
	}
	for _, line := range strings.Split(out, "\n")[1:] {
		if utf8.RuneCountInString(line) > plainWidth {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

func TestANamedServiceIsShownWithItsResources(t *testing.T) {
	_, run := newWorld(t)
	_, out, _ := run("status", "orders")
	for _, part := range []string{"orders  up  on n1  epoch 1  level kernel\n", "├─ app.data  up", "└─ app.main  up"} {
		if !strings.Contains(out, part) {
			t.Errorf("missing %q in:\n%s", part, out)
		}
	}
	if strings.Contains(out, "shop/web") || strings.Contains(out, "\x1b[") {
		t.Errorf("shows more than asked:\n%s", out)
	}
}

func TestWhySaysWhatStandsInTheWay(t *testing.T) {
	_, run := newWorld(t)
	if code, _, stderr := run("freeze", "--reason", "disk swap", "--for", "1h", "orders"); code != exitDone {
		t.Fatal(stderr)
	}
	_, out, _ := run("why", "orders")
	if !strings.Contains(out, "disk swap") || !strings.Contains(out, "until ") {
		t.Errorf("got:\n%s", out)
	}
	_, out, _ = run("why", "--json", "shop/web")
	var reasons []because
	if err := json.Unmarshal([]byte(out), &reasons); err != nil || len(reasons) == 0 || reasons[0].Why == "" {
		t.Errorf("%v in %s", err, out)
	}
}

func TestEventsTellTheHistory(t *testing.T) {
	_, run := newWorld(t)
	if code, _, stderr := run("restart", "orders"); code != exitDone {
		t.Fatal(stderr)
	}
	_, out, _ := run("events", "--json", "orders")
	var last api.Event
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if e.ID <= last.ID {
			t.Errorf("%d follows %d", e.ID, last.ID)
		}
		last = e
	}
	if _, out, _ := run("events", "shop/web"); strings.Contains(out, "orders/") {
		t.Errorf("of another service: %s", out)
	}
}

func TestLogsNameTheirResourceWhereThereAreSeveral(t *testing.T) {
	_, run := newWorld(t)
	for target, want := range map[string]string{
		"orders":          "app.main | hello\napp.main | world\n",
		"orders/app.main": "hello\nworld\n",
		"shop/web":        "hello\nworld\n",
	} {
		for _, flag := range []string{"-n=5", "-f"} {
			if code, out, stderr := run("logs", flag, target); code != exitDone || out != want {
				t.Errorf("logs %s %s: exit %d, %q %s", flag, target, code, out, stderr)
			}
		}
	}
	if code, _, _ := run("logs", "orders/app.data"); code != exitFailed {
		t.Errorf("a resource without output: exit %d", code)
	}
}

func TestALogThatCannotBeReadHidesNoOther(t *testing.T) {
	w, run := newWorldOf(t, declared+`
service "two" {
  app "a" {
    command = ["/bin/true"]
  }
  app "b" {
    command = ["/bin/true"]
  }
}
`)
	w.unread = map[spec.Address]error{"two/app.a": errors.New("cannot read the log of a: its engine is silent")}
	code, out, stderr := run("logs", "two")
	if code != exitFailed || out != "app.b | hello\napp.b | world\n" || !strings.Contains(stderr, "its engine is silent") {
		t.Errorf("exit %d, %q, %s", code, out, stderr)
	}
}

func TestATableIsCutAtABorderOfTheScreenOnly(t *testing.T) {
	w, run := newWorld(t)
	run("freeze", "orders", "--reason", strings.Repeat("it is far away, ", 10)+"and silent")
	if _, out, _ := run("status"); !strings.Contains(out, "and silent") {
		t.Errorf("a pipe gets\n%s", out)
	}
	var out bytes.Buffer
	execute(t.Context(), &streams{in: strings.NewReader(""), out: &out, err: io.Discard, width: 60, screen: true}, append(w.args(), "status"))
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 60 {
			t.Errorf("a line is longer than the screen: %q", line)
		}
	}
}

func TestApplySendsTheSetAndShowsFindings(t *testing.T) {
	w, run := newWorld(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.hcl"), `service "a" {
  app "x" {
    command = ["/bin/echo", file("motd")]
  }
}
`)
	write(t, filepath.Join(dir, "motd"), "hello")
	write(t, filepath.Join(dir, "unrelated"), "secret")
	w.apply = api.ApplyResult{Findings: []api.Finding{{Code: "SV0206", Severity: "error", File: "a.hcl", Line: 3, Column: 1, Summary: "no such kind"}}}
	if code, _, stderr := run("apply", dir); code != exitFailed || !strings.Contains(stderr, "a.hcl:3:1: error: SV0206: no such kind") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if len(w.files) != 2 || string(w.files["motd"]) != "hello" {
		t.Errorf("sent %v", w.files)
	}
	w.apply = api.ApplyResult{Applied: true, Changed: true, Revision: 13}
	if code, out, _ := run("apply", dir); code != exitDone || out != "revision 13 is in force\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, stderr := run("apply", t.TempDir()); code != exitUsage || !strings.Contains(stderr, "no *.hcl file") {
		t.Errorf("an empty directory: exit %d %s", code, stderr)
	}
}

func TestPlanShowsWaves(t *testing.T) {
	_, run := newWorld(t)
	if code, out, stderr := run("plan"); code != exitDone || out != "wave 1\n  start   shop/web/app.main\n" {
		t.Errorf("exit %d: %q %s", code, out, stderr)
	}
	file := filepath.Join(t.TempDir(), "all.hcl")
	write(t, file, declared)
	code, out, stderr := run("plan", "--cold", file)
	if want := "wave 1\n  start   orders/app.data\nwave 2\n  start   orders/app.main\n"; code != exitDone || out != want {
		t.Errorf("exit %d: %q %s", code, out, stderr)
	}
}

func TestCompletionOffersServicesAndResources(t *testing.T) {
	_, run := newWorld(t)
	if _, out, _ := run("__complete", "start", ""); !strings.Contains(out, "orders\tup\nshop/web\tdown\n") {
		t.Errorf("services:\n%s", out)
	}
	if _, out, _ := run("__complete", "stop", "orders", "--resource", ""); !strings.Contains(out, "app.main\torders: up") || strings.Contains(out, "shop") {
		t.Errorf("resources:\n%s", out)
	}
	if code, out, _ := runLine("completion", "bash"); code != exitDone || !strings.Contains(out, "svcctl") {
		t.Errorf("exit %d", code)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

package exec

import (
	"context"
	"fmt"
	"math"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/svcctl/svcctl/drivers"
)

func ran(t *testing.T, c Config) (drivers.Status, []drivers.Perf) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.Plugin = "nagios"
	p := &prober{config: &c}
	s, err := p.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s, p.Measured()
}

func TestAPluginsExitCodeIsItsVerdict(t *testing.T) {
	for _, c := range []struct {
		script string
		config Config
		state  drivers.State
		detail string
	}{
		{"echo 'X OK - fine | a=1'; exit 0", Config{}, drivers.Up, "X OK - fine"},
		{"echo 'X WARNING - so so'; exit 1", Config{}, drivers.Up, "X WARNING - so so"},
		{"echo 'so so'; exit 1", Config{Warning: "fail"}, drivers.Down, "WARNING: so so"},
		{"echo 'refused'; echo more; exit 2", Config{}, drivers.Down, "CRITICAL: refused"},
		{"echo 'X UNKNOWN - usage'; exit 3", Config{}, drivers.Down, "X UNKNOWN - usage"},
		{"exit 3", Config{Unknown: "pass"}, drivers.Up, "UNKNOWN"},
		{"echo out of words >&2; exit 2", Config{}, drivers.Down, "CRITICAL: out of words"},
		{"echo odd; exit 4", Config{}, drivers.Down, "exit code 4: odd"},
		{"echo odd; kill -TERM $$", Config{}, drivers.Down, "ended by SIGTERM: odd"},
		{"echo 'OK | a=x'", Config{}, drivers.Up, "OK (performance data left out: a=x)"},
		{"head -c 300000 /dev/zero | tr '\\0' 'x'; exit 1", Config{}, drivers.Up, "WARNING: " + strings.Repeat("x", shown) + "…"},
	} {
		c.config.Command = []string{"/bin/sh", "-c", c.script}
		if s, _ := ran(t, c.config); s.State != c.state || s.Detail != c.detail {
			t.Errorf("%s: %+v, want %s %q", c.script, s, c.state, c.detail)
		}
	}
}

func TestPerformanceDataIsReadByTheContract(t *testing.T) {
	for _, c := range []struct {
		output string
		want   string
		note   string
	}{
		{"OK", "", ""},
		{"OK |", "", ""},
		{"OK | time=0.5s;;;0;10", "time=0.5 seconds", ""},
		{"OK | a=12ms b=7us c=99% d=3KB e=2MiB f=10c g=-.5;10:;@~:20;-1;2", "a=0.012 seconds b=7e-06 seconds c=99 percent d=3072 bytes e=2.097152e+06 bytes f=10 counter g=-0.5", ""},
		{"OK | 'used space'=5B 'it''s'=1 '/'=2;", "used space=5 bytes it's=1 /=2", ""},
		{"OK | a=1;;;;; b=U c=U;1;2", "a=1", ""},
		{"OK | a=1\nlong text\nmore | b=2\nc=3 d=4\n", "a=1 b=2 c=3 d=4", ""},
		{"OK\nlong text = nothing\n", "", ""},
		{"OK | temp=21.5C speed=3m/s", "temp=21.5 speed=3", ""},
		{"OK | a=1e5 a2=1,5 b=2", "b=2", "performance data left out: a=1e5, and 1 more"},
		{"OK | =1 b=2", "b=2", "performance data left out: =1 has no label"},
		{"OK | 'open=1 b=2", "b=2", "performance data left out: the label 'open=1 b=2 has no end"},
		{"OK | 'a' b=2", "b=2", "performance data left out: no = behind the label 'a'"},
		{"OK | a=1;x b=2;1;2;3;4;5 c=3;;;~:1", "", "performance data left out: a=1;x, and 2 more"},
		{"OK | a=1 a=2", "a=1", `performance data left out: "a" is there twice`},
		{"OK | a=1\x00 b=\xff 'c\xff'=1 d=2", "d=2", "performance data left out: a=1, and 2 more"},
		{"OK | a=" + strings.Repeat("9", 400), "", "performance data left out: a=" + strings.Repeat("9", 40) + "…"},
	} {
		_, values, note := plugin(c.output)
		var got []string
		for _, v := range values {
			unit := v.Unit
			if v.Counter {
				unit = "counter"
			}
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s=%v %s", v.Label, v.Value, unit)))
		}
		if s := strings.Join(got, " "); s != c.want || note != c.note {
			t.Errorf("%q:\n got %q, %q\nwant %q, %q", c.output, s, note, c.want, c.note)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "v%d=1 ", i)
	}
	if _, values, note := plugin("OK |" + many.String()); len(values) != mostValues || note == "" {
		t.Errorf("%d values, %q", len(values), note)
	}
}

// The plugins of Debian's monitoring-plugins-basic.
func TestRealPluginsAreUnderstood(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	for _, c := range []struct {
		command string
		state   drivers.State
		begins  string
		label   string
		unit    string
	}{
		{"check_load -w 10000,10000,10000 -c 20000,20000,20000", drivers.Up, "LOAD OK", "load1", ""},
		{"check_load -w 0,0,0 -c 20000,20000,20000", drivers.Up, "LOAD ", "load15", ""},
		{"check_disk -w 1 -c 1 -p /", drivers.Up, "DISK OK", "/", "bytes"},
		{"check_disk -w 101% -c 101% -p /", drivers.Down, "", "", ""},
		{"check_tcp -H 127.0.0.1 -p " + port, drivers.Up, "TCP OK", "time", "seconds"},
		{"check_tcp -H 127.0.0.1 -p " + closed, drivers.Down, "CRITICAL: connect to address 127.0.0.1 and port " + closed + ": Connection refused", "", ""},
		{"check_procs -c 1:", drivers.Up, "PROCS OK", "procs", ""},
		{"check_procs --bogus", drivers.Down, "", "", ""},
	} {
		words := strings.Fields(c.command)
		path, err := exec.LookPath("/usr/lib/nagios/plugins/" + words[0])
		if err != nil {
			t.Skip("needs the package monitoring-plugins-basic")
		}
		s, values := ran(t, Config{Command: append([]string{path}, words[1:]...)})
		if s.State != c.state || !strings.HasPrefix(s.Detail, c.begins) || strings.Contains(s.Detail, "left out") {
			t.Errorf("%s: %+v", c.command, s)
		}
		if c.label != "" && !slices.ContainsFunc(values, func(p drivers.Perf) bool { return p.Label == c.label && p.Unit == c.unit }) {
			t.Errorf("%s: %+v", c.command, values)
		}
	}
}

func TestASecretOfTheEnvironmentIsRevealedToTheCommandOnly(t *testing.T) {
	p := &prober{config: &Config{Command: []string{"/bin/sh", "-c", `test "$TOKEN" = open-sesame && echo it fits`}, Env: map[string]string{"TOKEN": "mark"}},
		reveal: func(text string) (string, error) { return strings.ReplaceAll(text, "mark", "open-sesame"), nil }}
	if s, err := p.Status(t.Context()); err != nil || s.State != drivers.Up || s.Detail != "it fits" {
		t.Errorf("%+v %v", s, err)
	}
	p.reveal = func(string) (string, error) { return "", fmt.Errorf("secret \"token\" is missing") }
	if _, err := p.Status(t.Context()); err == nil || !strings.Contains(err.Error(), `the variable TOKEN can't be set: secret "token" is missing`) {
		t.Error(err)
	}
}

func FuzzPlugin(f *testing.F) {
	for _, s := range []string{"", "OK | a=1;2;3;4;5", "X\n|'a''b'=U c=-.5ms;@~:3", "'", "|'='=1", "|a=1|b=2", "|\xff=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, output string) {
		text, values, note := plugin(output)
		if !utf8.ValidString(text) || !utf8.ValidString(note) || len(values) > mostValues {
			t.Errorf("%q %q %d", text, note, len(values))
		}
		for _, v := range values {
			if v.Label == "" || !utf8.ValidString(v.Label) || math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				t.Errorf("%+v", v)
			}
		}
	})
}

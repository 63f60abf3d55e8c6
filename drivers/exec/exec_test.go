package exec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

func status(t *testing.T, c Config, timeout time.Duration) drivers.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := (&prober{config: &c}).Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheExitCodeDecidesAndTheLastLineIsTheReason(t *testing.T) {
	for _, c := range []struct {
		script string
		state  drivers.State
		detail string
	}{
		{"exit 0", drivers.Up, ""},
		{"echo all is well", drivers.Up, "all is well"},
		{"exit 3", drivers.Down, "exit code 3"},
		{"echo first; printf 'no \\033[31mmaster\\n\\n' >&2; exit 2", drivers.Down, "exit code 2: no [31mmaster"},
		{"kill -SEGV $$", drivers.Down, "ended by SIGSEGV"},
		{"head -c 1000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 1", drivers.Down, "exit code 1: the end"},
		{`test "$A" = b && test "$(pwd)" = /usr`, drivers.Up, ""},
	} {
		s := status(t, Config{Command: []string{"/bin/sh", "-c", c.script}, Env: map[string]string{"A": "b"}, Cwd: "/usr"}, time.Minute)
		if s.State != c.state || s.Detail != c.detail {
			t.Errorf("%s: %s %q, want %s %q", c.script, s.State, s.Detail, c.state, c.detail)
		}
	}
}

func TestATimedOutCommandDiesWithItsGrandchildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan drivers.Status, 1)
	p := &prober{config: &Config{Command: []string{"/bin/sh", "-c", "trap '' TERM; echo loading; (sh -c 'echo $$ > " + file + "; exec sleep 1000') & wait"}}}
	go func() {
		s, err := p.Status(ctx)
		if err != nil {
			t.Error(err)
		}
		result <- s
	}()
	pid := number(t, file)
	cancel() // the whole tree is there: its time is over
	s := <-result
	if s.State != drivers.Down || !strings.Contains(s.Detail, "cancelled after") || !strings.Contains(s.Detail, "loading") {
		t.Errorf("%+v", s)
	}
	gone(t, pid)
}

func TestABackgroundedChildNeitherHoldsTheCheckUpNorSurvivesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s := status(t, Config{Command: []string{"/bin/sh", "-c", "(sh -c 'echo $$ > " + file + "; exec sleep 1000') & while ! [ -s " + file + " ]; do sleep 0.01; done; echo fine"}}, time.Minute)
	if s.State != drivers.Up || s.Detail != "fine" {
		t.Errorf("%+v", s)
	}
	gone(t, number(t, file))
}

func TestAnEscapedChildWithTheOutputDoesNotHoldTheCheckUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s := status(t, Config{Command: []string{"/bin/sh", "-c", "setsid sh -c 'echo $$ > " + file + "; exec sleep 1000' & while ! [ -s " + file + " ]; do sleep 0.01; done"}}, time.Minute)
	if s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
	p, err := os.FindProcess(number(t, file))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill() // left its group on purpose: it is ours to end
}

func TestAMissingProgramDirectoryOrUserIsNamed(t *testing.T) {
	for want, c := range map[string]Config{
		"cannot run /no/such/program": {Command: []string{"/no/such/program"}},
		"/no/such/directory":          {Command: []string{"/bin/true"}, Cwd: "/no/such/directory"},
		`there is no user "nobody9"`:  {Command: []string{"/bin/true"}, User: "nobody9"},
	} {
		if s, err := (&prober{config: &c}).Status(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
}

func TestTheCommandRunsAsItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	s := status(t, Config{Command: []string{"/bin/sh", "-c", `echo "$(id -un) $HOME"`}, User: "daemon"}, time.Minute)
	if s.State != drivers.Up || !strings.HasPrefix(s.Detail, "daemon /") {
		t.Errorf("%+v", s)
	}
}

func TestMistakesAreFoundBeforeAnythingRuns(t *testing.T) {
	for field, c := range map[string]Config{
		"command": {},
		"cwd":     {Command: []string{"x"}, Cwd: "relative"},
		"env":     {Command: []string{"x"}, Env: map[string]string{"A=B": "c"}},
	} {
		found := c.Validate()
		if len(found) != 1 || found[0].Field != field {
			t.Errorf("%s: %+v", field, found)
		}
	}
	var r drivers.Registry
	Register(&r)
	if _, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "exec", Config: &Config{Command: []string{"true"}}}); err != nil {
		t.Error(err)
	}
}

// number waits for the process number that a command writes into the file.
func number(t *testing.T, path string) (pid int) {
	t.Helper()
	eventually(t, "a number in "+path, func() bool {
		text, _ := os.ReadFile(path)
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		pid = n
		return err == nil
	})
	return pid
}

// gone waits until the process has ended; its parent may still have to hear of it.
func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(text), ") Z ")
	})
}

// eventually asks for a fact of the kernel that no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatalf("waited in vain for %s", what)
}

package systemd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
)

const sleeper = "[Service]\nExecStart=/bin/sleep 1000\n"

func TestAUnitKeepsTheDriversPromises(t *testing.T) {
	m := newManager(t)
	m.unit(t, "sleeper.service", sleeper)
	drivertest.Run(t, drivertest.Harness{
		Open:  func(t *testing.T) drivers.Driver { return newDriver(t, "sleeper.service") },
		Break: func(t *testing.T) { m.ctl(t, "stop", "sleeper.service") },
		Fingerprint: func(t *testing.T) string {
			s := state(t, newDriver(t, "sleeper.service"))
			return fmt.Sprint(s.State, s.PID)
		},
		Live: &Config{Unit: "sleeper.service", Scope: "user", Mode: "fail"},
	})
}

func TestTemplatesTimersAndSocketsAreUnitsToo(t *testing.T) {
	m := newManager(t)
	m.unit(t, "sleeper@.service", sleeper)
	m.unit(t, "rare.timer", "[Timer]\nOnCalendar=2099-01-01\nUnit=sleeper@rare.service\n")
	m.unit(t, "door.socket", "[Socket]\nListenStream=%t/door\nService=sleeper@door.service\n")
	for _, unit := range []string{"sleeper@one.service", "rare.timer", "door.socket"} {
		d := newDriver(t, unit)
		start(t, d)
		if s := state(t, d); s.State != drivers.Up || (s.PID != 0) != strings.HasSuffix(unit, ".service") {
			t.Errorf("%s: %+v", unit, s)
		}
		stop(t, d)
		if s := state(t, d); s.State != drivers.Down {
			t.Errorf("%s: %+v", unit, s)
		}
	}
}

func TestWhatSystemdCanNotStartIsSaidInOneSentence(t *testing.T) {
	m := newManager(t)
	m.unit(t, "masked.service", sleeper)
	m.unit(t, "masked.service", "")
	m.ctl(t, "mask", "masked.service")
	m.unit(t, "bad.service", "[Service]\nExecStart=relative/path\n")
	m.unit(t, "false.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n")
	m.unit(t, "needs.service", "[Unit]\nRequires=false.service\nAfter=false.service\n"+sleeper)
	m.unit(t, "choosy.service", "[Unit]\nConditionPathExists=/no/such/file\n"+sleeper)
	m.unit(t, "slow.service", "[Service]\nType=notify\nTimeoutStartSec=100ms\nExecStart=/bin/sleep 1000\n")
	m.unit(t, "brief.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
	m.unit(t, "killed.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n")
	for unit, want := range map[string]string{
		"masked.service": "cannot start masked.service: the unit is masked (systemctl unmask)",
		"absent.service": "cannot start absent.service: systemd knows no such unit (install it",
		"bad.service":    "cannot start bad.service: its unit file can't be used: ",
		"false.service":  "cannot start false.service: result exit-code, exit code 3 (journalctl -u false.service",
		"needs.service":  "cannot start needs.service: a unit that it requires failed",
		"choosy.service": "cannot start choosy.service: it is inactive again: a condition of the unit is not met, or it is a oneshot",
		"slow.service":   "cannot start slow.service: result timeout",
		"brief.service":  "cannot start brief.service: it is inactive again: a condition of the unit is not met, or it is a oneshot service without RemainAfterExit=yes",
		"killed.service": "cannot start killed.service: result core-dump, ended by SIGSEGV",
	} {
		d := newDriver(t, unit)
		err := d.Start(soon(t))
		if err == nil || !strings.HasPrefix(strings.Replace(err.Error(), "result signal,", "result core-dump,", 1), want) {
			t.Errorf("%s: %v, want %s", unit, err, want)
		}
		if s := state(t, d); s.State != drivers.Down {
			t.Errorf("%s: %+v", unit, s)
		}
		stop(t, d)
	}
}

// told collects what Watch tells.
type told struct {
	mu  sync.Mutex
	all []drivers.Status
}

func follow(t *testing.T, d drivers.Driver) *told {
	t.Helper()
	seen := &told{}
	end, err := d.(drivers.Watcher).Watch(func(s drivers.Status) {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.all = append(seen.all, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return seen
}

func (s *told) some(is func(drivers.Status) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if is(one) {
			return true
		}
	}
	return false
}

func TestAUnitThatSystemdRestartsByItselfIsNotLost(t *testing.T) {
	m := newManager(t)
	m.unit(t, "stubborn.service", "[Service]\nRestart=always\nRestartSec=300ms\nExecStart=/bin/sleep 1000\n")
	d := newDriver(t, "stubborn.service")
	start(t, d)
	before := state(t, d).PID
	seen := follow(t, d)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs again and that is told", func() bool {
		return seen.some(func(s drivers.Status) bool { return s.State == drivers.Up && s.PID != 0 && s.PID != before })
	})
	if !seen.some(func(s drivers.Status) bool {
		return s.State == drivers.Begun && s.Detail == "systemd restarts it by itself: result signal, ended by SIGKILL"
	}) {
		t.Errorf("%+v", seen.all)
	}
	if seen.some(func(s drivers.Status) bool { return s.State != drivers.Up && s.State != drivers.Begun }) {
		t.Errorf("it was told as lost: %+v", seen.all)
	}
	stop(t, d)
}

func TestARestartThatTakesTooLongIsAFailure(t *testing.T) {
	f := unitFacts{active: activating, sub: "auto-restart", policy: "always", left: heals + time.Second, result: "exit-code", exit: &drivers.Exit{Code: 1}}
	if s := f.verdict(); s.State != drivers.Failed || s.Detail != "systemd has been restarting it for 31s: result exit-code, exit code 1" {
		t.Errorf("%+v", s)
	}
}

func TestACrashIsToldWithHowItEnded(t *testing.T) {
	m := newManager(t)
	m.unit(t, "crash.service", "[Service]\nExecStart=/bin/sh -c 'while [ ! -e %t/now ]; do sleep 0.01; done; exit 7'\n")
	d := newDriver(t, "crash.service")
	start(t, d)
	seen := follow(t, d)
	m.touch(t, "run/now")
	eventually(t, "the crash is told", func() bool {
		return seen.some(func(s drivers.Status) bool {
			return s.State == drivers.Down && s.Exit != nil && s.Exit.Code == 7 && s.Detail == "result exit-code, exit code 7"
		})
	})
	m.remove(t, "run/now")
	for range 8 { // systemd's own limit is five starts in ten seconds
		start(t, d)
		m.touch(t, "run/now")
		eventually(t, "it ends", func() bool { return state(t, d).State == drivers.Down })
		m.remove(t, "run/now")
	}
}

func TestAStopThatHangsEndsWithItsContextAndKillHelps(t *testing.T) {
	m := newManager(t)
	m.unit(t, "deaf.service", "[Service]\nTimeoutStopSec=infinity\nExecStart=/bin/sh -c 'trap \"\" TERM; touch %t/deaf; while :; do sleep 1; done'\n")
	d := newDriver(t, "deaf.service")
	start(t, d)
	eventually(t, "it ignores SIGTERM", func() bool { return m.exists("run/deaf") })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := d.Stop(ctx); err == nil || !strings.HasPrefix(err.Error(), "cannot stop deaf.service: systemd is still on it: ") {
		t.Errorf("%v", err)
	}
	if s := state(t, d); s.State != drivers.Failed || !strings.HasPrefix(s.Detail, "it is being stopped (stop-sigterm)") {
		t.Errorf("%+v", s)
	}
	if err := d.(drivers.Killer).Kill(soon(t)); err != nil {
		t.Fatal(err)
	}
	stop(t, d)
	if s := state(t, d); s.State != drivers.Down {
		t.Errorf("%+v", s)
	}
	if err := d.(drivers.Killer).Kill(soon(t)); err != nil {
		t.Errorf("nothing is left to kill: %v", err)
	}
}

func TestAUnitWhoseFileIsTakenAwayRunsOnAndCanBeStopped(t *testing.T) {
	m := newManager(t)
	m.unit(t, "fleeting.service", sleeper)
	d := newDriver(t, "fleeting.service")
	start(t, d)
	m.unit(t, "fleeting.service", "")
	if s := state(t, d); s.State != drivers.Up || s.Detail != "it runs, but its unit file is gone" {
		t.Errorf("%+v", s)
	}
	stop(t, d)
	if s := state(t, d); s.State != drivers.Down || !strings.HasPrefix(s.Detail, "systemd knows no such unit") {
		t.Errorf("%+v", s)
	}
}

func TestALostManagerIsFoundAgain(t *testing.T) {
	m := newManager(t)
	m.unit(t, "sleeper.service", sleeper)
	d := newDriver(t, "sleeper.service")
	start(t, d)
	seen := follow(t, d)
	eventually(t, "it is told as up", func() bool { return seen.some(func(s drivers.Status) bool { return s.State == drivers.Up }) })
	m.kill()
	eventually(t, "that nobody answers is an error", func() bool {
		_, err := d.Status(soon(t))
		return err != nil && strings.HasPrefix(err.Error(), "cannot look at sleeper.service: systemd does not ")
	})
	seen.mu.Lock()
	seen.all = nil
	seen.mu.Unlock()
	m.start(t)
	eventually(t, "what became of it is told", func() bool { return seen.some(func(drivers.Status) bool { return true }) })
	stop(t, d)
	start(t, d)
	eventually(t, "it is told as up again", func() bool { return seen.some(func(s drivers.Status) bool { return s.State == drivers.Up }) })
	stop(t, d)
}

func TestAManagerThatHangsHoldsNobodyUp(t *testing.T) {
	m := newManager(t)
	m.unit(t, "sleeper.service", sleeper)
	known, fresh := newDriver(t, "sleeper.service"), newDriver(t, "sleeper.service")
	state(t, known)
	syscall.Kill(m.cmd.Process.Pid, syscall.SIGSTOP)
	defer syscall.Kill(m.cmd.Process.Pid, syscall.SIGCONT)
	for name, d := range map[string]drivers.Driver{"with a connection": known, "without one": fresh} {
		for verb, call := range map[string]func(context.Context) error{
			"Status": func(ctx context.Context) error { _, err := d.Status(ctx); return err }, "Start": d.Start, "Stop": d.Stop,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			select {
			case err := <-done:
				if err == nil {
					t.Errorf("%s %s: no error", verb, name)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s %s hangs", verb, name)
			}
			cancel()
		}
	}
}

func TestAUnitThatIsAlsoEnabledIsNoticed(t *testing.T) {
	m := newManager(t)
	m.unit(t, "both.service", sleeper+"[Install]\nWantedBy=default.target\n")
	d := newDriver(t, "both.service")
	state(t, d)
	if n := d.(drivers.Notices).Notices(); len(n) != 0 {
		t.Errorf("%q", n)
	}
	m.ctl(t, "enable", "both.service")
	state(t, d)
	if n := d.(drivers.Notices).Notices(); len(n) != 1 || n[0] != "both.service is also enabled in systemd, which starts it at boot beside svcctl (systemctl disable both.service)" {
		t.Errorf("%q", n)
	}
}

func TestWhereThereIsNoJournalLogsSaySo(t *testing.T) {
	d := &driver{config: Config{Unit: "svctest-none.service", Scope: "system"}}
	for line, err := range d.Logs(soon(t), 5, false) {
		if err == nil {
			t.Errorf("a line of a unit that never ran: %q", line)
		} else if !strings.HasPrefix(err.Error(), "cannot read the journal of svctest-none.service: there is no journal") {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Unit: "a.service", Scope: "system"}, "--no-pager -o short-iso -n 5 -u a.service -f"},
		{Config{Unit: "a.service", Scope: "user"}, "--no-pager -o short-iso -n 5 --user-unit a.service -f"},
		{Config{Unit: "a.service", Scope: "user", User: "www"}, "--no-pager -o short-iso -n 5 _SYSTEMD_USER_UNIT=a.service -f"},
	} {
		if got := strings.Join((&driver{config: c.config}).arguments(5, true), " "); got != c.want {
			t.Errorf("%+v: %s", c.config, got)
		}
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	for _, unit := range []string{"", "nginx", "nginx.conf", "a b.service", "../x.service", "getty@.service", "x.device", strings.Repeat("x", 260) + ".service"} {
		if found := (&Config{Unit: unit, Scope: "system"}).Validate(); len(found) != 1 || found[0].Field != "unit" {
			t.Errorf("%q: %+v", unit, found)
		}
	}
	for _, unit := range []string{"nginx.service", "getty@tty1.service", `dev-disk\x2did.mount`, "a.socket", "b.timer"} {
		if found := (&Config{Unit: unit, Scope: "system"}).Validate(); len(found) != 0 {
			t.Errorf("%q: %+v", unit, found)
		}
	}
	if found := (&Config{Unit: "a.service", Scope: "system", User: "www"}).Validate(); len(found) != 1 || found[0].Field != "user" {
		t.Errorf("%+v", found)
	}
}

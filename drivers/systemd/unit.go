package systemd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

// heals is how long a unit may be without a process while systemd itself restarts it.
const heals = 30 * time.Second

// The words of systemd that decide.
const (
	active       = "active"
	reloading    = "reloading"
	refreshing   = "refreshing"
	maintenance  = "maintenance"
	inactive     = "inactive"
	failed       = "failed"
	activating   = "activating"
	deactivating = "deactivating"

	notFound = "not-found"
	masked   = "masked"
)

// unitFacts is what systemd says of a unit.
type unitFacts struct {
	id                     string // its real name, where ours is an alias
	load, loadError        string
	active, sub, file      string
	job                    bool // one of its own is queued or runs
	tried                  bool // systemd remembers a start of it
	conditions             bool // its Conditions were met when it was last started
	stale                  bool // its file is newer than what systemd has read
	triggeredBy            []string
	left                   time.Duration // since it was last active; 0: never
	pid                    int
	result, policy, status string
	restarts               uint32
	exit                   *drivers.Exit
}

func facts(ctx context.Context, l *link, name string) (f unitFacts, err error) {
	p, err := l.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return f, err
	}
	f = unitFacts{
		id: text(p, "Id"), load: text(p, "LoadState"), active: text(p, "ActiveState"), sub: text(p, "SubState"),
		file: text(p, "UnitFileState"),
	}
	f.conditions, _ = p["ConditionResult"].(bool)
	at, _ := p["ConditionTimestampMonotonic"].(uint64)
	f.tried = at != 0
	f.stale, _ = p["NeedDaemonReload"].(bool)
	f.triggeredBy, _ = p["TriggeredBy"].([]string)
	if e, ok := p["LoadError"].([]any); ok && len(e) == 2 {
		f.loadError, _ = e[1].(string)
	}
	if j, ok := p["Job"].([]any); ok && len(j) == 2 {
		id, _ := j[0].(uint32)
		f.job = id != 0
	}
	if at, _ := p["ActiveExitTimestampMonotonic"].(uint64); at != 0 {
		f.left = sinceBoot() - time.Duration(at)*time.Microsecond
	}
	return f, f.more(ctx, l, name)
}

// more asks for what only some types of units have.
func (f *unitFacts) more(ctx context.Context, l *link, name string) error {
	kind := map[string]string{"service": "Service", "socket": "Socket", "mount": "Mount", "swap": "Swap", "timer": "Timer", "automount": "Automount"}[typeOf(name)]
	if kind == "" || f.load == notFound && f.active == inactive {
		return nil
	}
	p, err := l.GetUnitTypePropertiesContext(ctx, name, kind)
	if err != nil {
		return err
	}
	f.result, f.policy, f.status = text(p, "Result"), text(p, "Restart"), text(p, "StatusText")
	f.restarts, _ = p["NRestarts"].(uint32)
	if pid, _ := p["MainPID"].(uint32); pid != 0 {
		f.pid = int(pid)
	}
	code, _ := p["ExecMainCode"].(int32)
	status, _ := p["ExecMainStatus"].(int32)
	switch code {
	case cldExited:
		f.exit = &drivers.Exit{Code: int(status)}
	case cldKilled, cldDumped:
		f.exit = &drivers.Exit{Code: -1, Signal: unix.SignalName(unix.Signal(status))}
	}
	return nil
}

// The si_code of SIGCHLD, as ExecMainCode has it.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

func text(p map[string]any, name string) string {
	s, _ := p[name].(string)
	return s
}

// sinceBoot is the clock that systemd's monotonic stamps are taken from.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// verdict draws the conclusion. A unit that systemd restarts by itself is begun: what
// runs on it need not be stopped for that, and another Start waits until it is over.
func (f *unitFacts) verdict() drivers.Status {
	s := drivers.Status{PID: f.pid, Exit: f.exit}
	switch f.active {
	case active, reloading, refreshing, maintenance:
		s.State, s.Exit, s.Detail = drivers.Up, nil, f.status
		if f.load == notFound {
			s.Detail = "it runs, but its unit file is gone"
		} else if f.load == masked {
			s.Detail = "it runs, but it is masked"
		}
	case inactive:
		s.State, s.Detail = drivers.Down, f.unusable()
		if s.Detail == "" && f.exit != nil && *f.exit != (drivers.Exit{}) {
			s.Detail = f.how()
		}
	case failed:
		s.State, s.Detail = drivers.Down, f.how()
	case activating, deactivating:
		s.State, s.Detail = f.passing()
	default:
		s.State, s.Detail = drivers.Failed, fmt.Sprintf("systemd says that it is %s (%s)", f.active, f.sub)
	}
	return s
}

// passing judges what is on its way from one state to another.
func (f *unitFacts) passing() (drivers.State, string) {
	heal := strings.HasPrefix(f.sub, "auto-restart") || f.active == deactivating && !f.job && f.policy != "" && f.policy != "no"
	switch {
	case heal && f.left > heals:
		return drivers.Failed, fmt.Sprintf("systemd has been restarting it for %s: %s", f.left.Round(time.Second), f.how())
	case heal:
		return drivers.Begun, "systemd restarts it by itself: " + f.how()
	case f.active == deactivating:
		return drivers.Failed, "it is being stopped (" + f.sub + ")"
	}
	return drivers.Begun, "it is being started (" + f.sub + ")"
}

// how says how it ended, as far as systemd knows.
func (f *unitFacts) how() string {
	var parts []string
	if f.result != "" && f.result != "success" {
		parts = append(parts, "result "+f.result)
	}
	switch {
	case f.exit == nil:
	case f.exit.Signal != "":
		parts = append(parts, "ended by "+f.exit.Signal)
	default:
		parts = append(parts, fmt.Sprintf("exit code %d", f.exit.Code))
	}
	if f.status != "" {
		parts = append(parts, fmt.Sprintf("last said %q", f.status))
	}
	if len(parts) == 0 {
		return "it is " + f.active
	}
	return strings.Join(parts, ", ")
}

// unusable says why systemd can't start it, or "".
func (f *unitFacts) unusable() string {
	switch f.load {
	case masked:
		return "the unit is masked (systemctl unmask)"
	case notFound:
		return "systemd knows no such unit (install it, and run systemctl daemon-reload)"
	case "bad-setting", "error":
		return fmt.Sprintf("its unit file can't be used: %s (systemd-analyze verify names the line)", f.loadError)
	}
	return ""
}

func (f *unitFacts) notices() (found []string) {
	if slices.Contains([]string{"enabled", "enabled-runtime"}, f.file) {
		found = append(found, fmt.Sprintf("%s is also enabled in systemd, which starts it at boot beside svcctl (systemctl disable %s)", f.id, f.id))
	}
	if len(f.triggeredBy) > 0 {
		found = append(found, fmt.Sprintf("%s may be started by %s also while svcctl keeps it stopped", f.id, strings.Join(f.triggeredBy, ", ")))
	}
	if f.stale {
		found = append(found, fmt.Sprintf("the file of %s is newer than what systemd has read (systemctl daemon-reload)", f.id))
	}
	return found
}

func typeOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// reason gives systemd's words without the name of the error.
func reason(err error) string {
	if e, ok := err.(dbus.Error); ok && len(e.Body) > 0 {
		if s, ok := e.Body[0].(string); ok {
			return strings.TrimRight(s, ".")
		}
	}
	return err.Error()
}

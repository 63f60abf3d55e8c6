// Package systemd makes a unit of systemd run.
package systemd

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a systemd resource takes.
type Config struct {
	Unit  string `hcl:"unit" export:"true" doc:"The unit, with its type: \"nginx.service\", \"getty@tty1.service\", \"srv.mount\", \"backup.timer\"."`
	Scope string `hcl:"scope" default:"system" oneof:"system user" doc:"Whose unit it is: the host's, or a user's own."`
	User  string `hcl:"user,optional" doc:"With scope user: the user; default: the agent's."`
	Mode  string `hcl:"mode" default:"replace" oneof:"replace fail" reload:"live" doc:"What a start does where another job of systemd is in its way: replace it, or fail."`
}

//go:embed example.hcl
var example string

// Register adds the kind to r. All its resources share one connection to each manager.
func Register(r *drivers.Registry) {
	var shared buses
	drivers.DefineKind(r, "systemd", "A unit of systemd, started and stopped by systemd itself and followed by its signals. A oneshot service needs RemainAfterExit=yes.",
		func(o drivers.Opening, c *Config) (drivers.Driver, error) {
			d := &driver{config: *c, bus: shared.at(c.Scope, c.User)}
			d.mode.Store(&c.Mode)
			return d, nil
		}, drivers.WithLevel(spec.LevelGuard), drivers.WithExample(example))
}

var unitName = drivers.Expression(`^[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|mount|automount|swap|path|target|slice)$`)

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	stem, _, _ := strings.Cut(c.Unit, ".")
	switch {
	case len(c.Unit) > 255 || !unitName().MatchString(c.Unit):
		found = append(found, spec.Problem{Field: "unit", Summary: "Not a unit",
			Detail: fmt.Sprintf(`%q is no unit that can be started and stopped; write the name with its type, such as "nginx.service" or "srv-data.mount".`, c.Unit)})
	case strings.HasSuffix(stem, "@"):
		found = append(found, spec.Problem{Field: "unit", Summary: "Template without an instance",
			Detail: fmt.Sprintf("%q is a template; write what comes behind the @, as in %q.", c.Unit, strings.Replace(c.Unit, "@", "@1", 1))})
	}
	if c.User != "" && c.Scope == "system" {
		found = append(found, spec.Problem{Field: "user", Summary: "A user without the user's scope",
			Detail: `The host's units belong to no user; write scope = "user", or leave user out.`})
	}
	return found
}

type driver struct {
	config Config
	mode   atomic.Pointer[string]
	bus    *bus
	last   atomic.Pointer[unitFacts]
}

// look asks systemd what is true of the unit.
func (d *driver) look(ctx context.Context) (*link, *unitFacts, error) {
	l, err := d.bus.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	f, err := facts(ctx, l, d.config.Unit)
	if err != nil {
		return nil, nil, fmt.Errorf("systemd does not say what it is: %s", reason(err))
	}
	d.last.Store(&f)
	return l, &f, nil
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	_, f, err := d.look(ctx)
	if err != nil {
		return drivers.Status{}, fmt.Errorf("cannot look at %s: %w", d.config.Unit, err)
	}
	return f.verdict(), nil
}

// Start asks systemd to start the unit and waits for the end of that job. The job goes
// on where ctx ends first: another Start waits for it again, a Stop replaces it.
func (d *driver) Start(ctx context.Context) error {
	fail := func(err error) error { return fmt.Errorf("cannot start %s: %w", d.config.Unit, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	l, f, err := d.look(ctx)
	if err != nil {
		return fail(err)
	}
	if f.verdict().State == drivers.Up && !f.job {
		return nil
	}
	if why := f.unusable(); why != "" {
		return fail(errors.New(why))
	}
	if f.active == failed {
		// How often a start is tried again is ours to say; systemd's own count would refuse it.
		if err := l.ResetFailedUnitContext(ctx, d.config.Unit); err != nil && ctx.Err() != nil {
			return fail(ctx.Err())
		}
	}
	result, err := d.job(ctx, l, func(done chan<- string) error {
		_, err := l.StartUnitContext(ctx, d.config.Unit, *d.mode.Load(), done)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if _, f, err = d.look(ctx); err != nil {
		return fail(err)
	}
	return d.started(result, f)
}

// started says what the end of a start job means.
func (d *driver) started(result string, f *unitFacts) error {
	u := d.config.Unit
	switch result {
	case "done":
		switch {
		case f.active == active || f.active == reloading || f.active == refreshing || f.active == activating:
			return nil // activating: it ended already, and systemd restarts it
		case !f.tried: // nothing holds a unit in memory that does not run
			return fmt.Errorf("cannot start %s: it is %s again: a condition of the unit is not met, or it is a oneshot service without RemainAfterExit=yes (systemctl status %s)", u, f.active, u)
		case !f.conditions:
			return fmt.Errorf("cannot start %s: a condition of the unit is not met (systemctl status %s names it)", u, u)
		}
		return fmt.Errorf("cannot start %s: it was started and is %s again: %s (a oneshot service needs RemainAfterExit=yes)", u, f.active, f.how())
	case "failed":
		return fmt.Errorf("cannot start %s: %s (journalctl -u %s says more)", u, f.how(), u)
	case "timeout":
		return fmt.Errorf("cannot start %s: it was not ready within its TimeoutStartSec: %s (journalctl -u %s says more)", u, f.how(), u)
	case "canceled":
		return fmt.Errorf("cannot start %s: somebody else stopped it meanwhile, or put another job in its place", u)
	case "dependency":
		return fmt.Errorf("cannot start %s: a unit that it requires failed (systemctl list-dependencies %s shows which)", u, u)
	case "skipped":
		return fmt.Errorf("cannot start %s: systemd skipped it: %s (systemctl status %s)", u, f.how(), u)
	}
	return fmt.Errorf("cannot start %s: systemd's job ended as %q: %s (systemctl status %s)", u, result, f.how(), u)
}

// Stop asks systemd to stop the unit, whatever other job is in the way, and waits until
// it is down.
func (d *driver) Stop(ctx context.Context) error {
	fail := func(err error) error { return fmt.Errorf("cannot stop %s: %w", d.config.Unit, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	l, f, err := d.look(ctx)
	if err != nil {
		return fail(err)
	}
	if (f.active == inactive || f.active == failed) && !f.job {
		return nil
	}
	result, err := d.job(ctx, l, func(done chan<- string) error {
		_, err := l.StopUnitContext(ctx, d.config.Unit, "replace", done)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if _, f, err = d.look(ctx); err != nil {
		return fail(err)
	}
	if f.active != inactive && f.active != failed {
		return fmt.Errorf("cannot stop %s: systemd's job ended as %q and the unit is %s (%s)", d.config.Unit, result, f.active, f.sub)
	}
	return nil
}

// job queues a job and waits for systemd's word of its end.
func (d *driver) job(ctx context.Context, l *link, queue func(done chan<- string) error) (string, error) {
	done := make(chan string, 1) // so that the connection never waits for us
	if err := queue(done); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", errors.New(reason(err))
	}
	select {
	case result := <-done:
		return result, nil
	case <-l.lost:
		return "", errors.New("the connection to systemd was lost while it was on it (systemctl list-jobs)")
	case <-ctx.Done():
		return "", fmt.Errorf("systemd is still on it: %w (systemctl list-jobs)", ctx.Err())
	}
}

// Kill implements drivers.Killer: whatever is left of the unit is sent SIGKILL.
func (d *driver) Kill(ctx context.Context) error {
	l, f, err := d.look(ctx)
	if err == nil && f.active != inactive {
		if err = l.KillUnitWithTarget(ctx, d.config.Unit, "all", int32(unix.SIGKILL)); err != nil {
			if _, f, again := d.look(ctx); again == nil && (f.active == inactive || f.active == failed) {
				return nil // it ended by itself between the two
			}
			err = errors.New(reason(err))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot kill the processes of %s: %w", d.config.Unit, err)
	}
	return nil
}

// Update implements drivers.Updater: the mode matters to the next start only.
func (d *driver) Update(ctx context.Context, config any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mode.Store(&config.(*Config).Mode)
	return nil
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (stop func(), err error) {
	return d.bus.watch(&watcher{
		unit: func(escaped string) bool {
			f := d.last.Load()
			return escaped == sd.PathBusEscape(d.config.Unit) || f != nil && escaped == sd.PathBusEscape(f.id)
		},
		changed: func(ctx context.Context) {
			// Where systemd does not answer nothing is known, and the probe will say so.
			if s, err := d.Status(ctx); err == nil && ctx.Err() == nil {
				changed(s)
			}
		},
	}), nil
}

// Notices implements drivers.Notices.
func (d *driver) Notices() []string {
	if f := d.last.Load(); f != nil {
		return f.notices()
	}
	return nil
}

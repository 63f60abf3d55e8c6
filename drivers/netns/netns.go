// Package netns makes a named network namespace, for addresses, routes and programs of a service's own.
package netns

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a netns resource takes.
type Config struct {
	Name string `hcl:"name,optional" export:"true" doc:"The namespace's name, as \"ip netns\" shows it. Default: the service and the resource with a dot between, such as \"orders.inner\"; in a namespace of services its name comes first."`
}

// SetAddress implements spec.Addressed: the address names what has no name.
func (c *Config) SetAddress(a spec.Address) {
	if c.Name != "" {
		return
	}
	_, own, _ := strings.Cut(a.Local(), ".") // "inner", or `inner["key"]`
	own = strings.NewReplacer(`["`, "@", `"]`, "").Replace(own)
	c.Name = strings.ReplaceAll(a.Service(), "/", ".") + "." + own
}

// Validate implements spec.Validator.
func (c *Config) Validate() []spec.Problem {
	if c.Name == "" {
		return nil
	}
	why := netns.Wrong(c.Name)
	if why == "" && strings.HasPrefix(c.Name, "/") {
		why = "is a path; write its name alone: namespaces are made in " + netns.Dir
	}
	if why == "" {
		return nil
	}
	return []spec.Problem{{Field: "name", Summary: "Impossible name", Detail: fmt.Sprintf("%q %s.", c.Name, why)}}
}

// Exports implements spec.Exporter.
func (c *Config) Exports() map[string]cty.Value {
	return map[string]cty.Value{"path": cty.StringVal(netns.Path(c.Name))}
}

// ExportNames implements spec.ExportNames.
func (c *Config) ExportNames() []string { return []string{"path"} }

//go:embed example.hcl
var example string

// Register adds the kind to r.
//
// The level is reset: a named namespace outlives every process of ours, with the
// addresses that are inside.
func Register(r *drivers.Registry) {
	w := &netns.Watching{}
	drivers.DefineKind(r, "netns", "A named network namespace, its loopback interface up: a network of a service's own, as \"ip netns add\" makes it. Kinds ip, route and app take it as netns = netns.NAME.name.",
		func(_ drivers.Opening, c *Config) (drivers.Driver, error) {
			return &driver{config: c, watching: w}, nil
		},
		drivers.WithLevel(spec.LevelReset), drivers.WithExample(example))
}

type driver struct {
	config   *Config
	watching *netns.Watching
}

func (d *driver) path() string { return netns.Path(d.config.Name) }

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	if err := ctx.Err(); err != nil {
		return drivers.Status{}, fmt.Errorf("cannot look at the network namespace %s: %w", d.config.Name, err)
	}
	return d.look()
}

func (d *driver) look() (drivers.Status, error) {
	_, err := netns.Identify(d.path())
	switch {
	case errors.Is(err, netns.ErrNone):
		return drivers.Status{State: drivers.Down}, nil
	case err != nil:
		return drivers.Status{}, err
	}
	return drivers.Status{State: drivers.Up}, nil
}

// Start implements drivers.Driver. A namespace that is there is adopted.
func (d *driver) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot make the network namespace %s: %w", d.config.Name, err)
	}
	if err := netns.Make(d.config.Name); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// Stop implements drivers.Driver. It refuses while processes are inside: the namespace
// would live on with them, its addresses too, and nobody could reach it by its name.
func (d *driver) Stop(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot remove the network namespace %s: %w", d.config.Name, err)
	}
	inside, err := d.inside()
	if err != nil {
		return err
	}
	if len(inside) > 0 {
		return fmt.Errorf("cannot remove the network namespace %s: %s inside (stop these first)", d.config.Name, names(inside))
	}
	return netns.Remove(d.config.Name)
}

func (d *driver) inside() ([]netns.Process, error) {
	id, err := netns.Identify(d.path())
	if errors.Is(err, netns.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return netns.Processes(id)
}

const maxNamed = 5

func names(of []netns.Process) string {
	var words []string
	for i, p := range of {
		if i == maxNamed {
			words = append(words, fmt.Sprintf("and %d more", len(of)-maxNamed))
			break
		}
		words = append(words, fmt.Sprintf("process %d (%s)", p.PID, p.Name))
	}
	if len(of) == 1 {
		return words[0] + " is"
	}
	return strings.Join(words, ", ") + " are"
}

const (
	killWait   = 5 * time.Second // one in an uninterruptible sleep never goes
	killRounds = 10              // over processes that make others meanwhile
)

// Kill implements drivers.Killer: the processes inside are ended.
func (d *driver) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	var inside []netns.Process
	for range killRounds {
		var err error
		if inside, err = d.inside(); err != nil || len(inside) == 0 {
			return err
		}
		for _, p := range inside {
			end(ctx, p.PID)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("cannot free the network namespace %s: %s inside (end that by hand)", d.config.Name, names(inside))
}

// end kills a process and waits until it is gone, or ctx ends. Process 1 is spared.
func end(ctx context.Context, pid int) {
	if pid <= 1 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone meanwhile
	}
	defer unix.Close(fd)
	if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return
	}
	for ctx.Err() == nil {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100); n > 0 && err == nil {
			return
		}
	}
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (stop func(), err error) {
	return d.watching.Watch(d.path(), func() {
		if s, err := d.look(); err == nil { // else the slow probe will tell
			changed(s)
		}
	})
}

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
	"github.com/svcctl/svcctl/internal/rtnl"
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
		func(o drivers.Opening, c *Config) (drivers.Driver, error) {
			return &driver{config: c, address: o.Address, watching: w}, nil
		},
		drivers.WithLevel(spec.LevelReset), drivers.WithExample(example))
}

type driver struct {
	config   *Config
	address  spec.Address
	watching *netns.Watching
}

func (d *driver) path() string { return netns.Path(d.config.Name) }

// mark is the alias of the loopback interface of each namespace that was made for the
// resource: by it, and not by the name, one is known again. It is there before the name is.
func (d *driver) mark() string { return "svcctl " + string(d.address) }

// sight is what is at the path.
type sight struct {
	there bool
	ours  bool
	alias string // of its loopback interface
}

// foreign says what is there instead of our own.
func (s sight) foreign() string {
	if address, is := strings.CutPrefix(s.alias, "svcctl "); is {
		return "one of that name is there, and belongs to " + address
	}
	return "one of that name is there, and was not made by svcctl"
}

func (d *driver) look(ctx context.Context) (sight, error) {
	kernel, lo := rtnl.New(d.path()), new(rtnl.Link) // where ctx ends, the question may still write to it
	_, err := netns.Identify(d.path())
	if err == nil {
		err = kernel.Converse(ctx, func() (err error) { *lo, err = kernel.Find("lo"); return err })
	}
	switch {
	case errors.Is(err, netns.ErrNone):
		return sight{}, nil
	case err != nil:
		return sight{}, fmt.Errorf("cannot look at the network namespace %s: %w", d.config.Name, err)
	}
	return sight{there: true, ours: lo.Alias == d.mark(), alias: lo.Alias}, nil
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	if err := ctx.Err(); err != nil {
		return drivers.Status{}, fmt.Errorf("cannot look at the network namespace %s: %w", d.config.Name, err)
	}
	s, err := d.look(ctx)
	switch {
	case err != nil:
		return drivers.Status{}, err
	case !s.there:
		return drivers.Status{State: drivers.Down}, nil
	case !s.ours:
		return drivers.Status{State: drivers.Down, Detail: s.foreign()}, nil
	}
	return drivers.Status{State: drivers.Up}, nil
}

// Start implements drivers.Driver. A namespace of the resource's own is adopted; one of
// others is not: a stop would take from them what they made.
func (d *driver) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot make the network namespace %s: %w", d.config.Name, err)
	}
	err := netns.Make(d.config.Name, func() error {
		return rtnl.Here(func(k *rtnl.Kernel) error {
			lo, err := k.Find("lo")
			if err == nil {
				err = k.SetAlias(lo.Index, d.mark())
			}
			if err != nil {
				return fmt.Errorf("it can't be marked as svcctl's: %w", err)
			}
			return nil
		})
	})
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	s, err := d.look(ctx)
	if err == nil && s.there && !s.ours {
		return fmt.Errorf("cannot make the network namespace %s: %s (choose another name, or remove it: ip netns delete %s; ip, route and app also take the name of one that is not declared)", d.config.Name, s.foreign(), d.config.Name)
	}
	return err
}

// Stop implements drivers.Driver. It refuses while processes are inside: the namespace
// would live on with them, its addresses too, and nobody could reach it by its name. One
// of others stays as it is.
func (d *driver) Stop(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot remove the network namespace %s: %w", d.config.Name, err)
	}
	s, err := d.look(ctx)
	if err != nil || s.there && !s.ours {
		return err
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
	if s, err := d.look(ctx); err != nil || !s.ours { // a name may also stand for the host's own network
		return err
	}
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
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s, err := d.Status(ctx); err == nil { // else the slow probe will tell
			changed(s)
		}
	})
}

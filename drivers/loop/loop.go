// Package loop attaches a file to a loop device.
package loop

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
	"github.com/zclconf/go-cty/cty"
)

// linkDir holds a symbolic link to each device that we attached. A loop device has
// no number before it is attached, while references to it are evaluated when files
// are loaded: the link's name follows from the file's name alone.
const linkDir = "/run/svcctl/loop"

// Config is the schema of kind loop.
type Config struct {
	File     string     `hcl:"file" export:"true" doc:"The file, an absolute path."`
	Size     spec.Bytes `hcl:"size,optional" positive:"true" doc:"Create a missing file, sparse, of this size. A file that exists keeps its size. Without it a missing file is an error."`
	ReadOnly bool       `hcl:"read_only" default:"false" doc:"Attach it so that nothing can be written."`
	DirectIO bool       `hcl:"direct_io" default:"false" doc:"Bypass the page cache of the file system that holds the file, where it can."`
	Device   string     `hcl:"device,optional" doc:"Take this loop device, such as /dev/loop7. By default any free one is taken, and a stable link to it is exported as device."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (problems []spec.Problem) {
	if !filepath.IsAbs(c.File) || filepath.Clean(c.File) != c.File || c.File == "/" {
		problems = append(problems, spec.Problem{Field: "file", Summary: "file is not an absolute, clean path",
			Detail: fmt.Sprintf("%q was given; write the whole path without \"..\", doubled or trailing slashes.", c.File)})
	}
	if c.Size < 0 || c.Size%512 != 0 {
		problems = append(problems, spec.Problem{Field: "size", Summary: "size is not a positive multiple of 512 bytes",
			Detail: "A block device has whole sectors; write a size such as \"512M\"."})
	}
	if c.Device != "" && !deviceName().MatchString(c.Device) {
		problems = append(problems, spec.Problem{Field: "device", Summary: "device is not a loop device",
			Detail: fmt.Sprintf("%q was given; write a path such as \"/dev/loop7\", or leave it out.", c.Device)})
	}
	return problems
}

var deviceName = drivers.Expression(`^/dev/loop(0|[1-9][0-9]{0,5})$`)

// Exports implements spec.Exporter: device is the path that others use.
func (c *Config) Exports() map[string]cty.Value {
	return map[string]cty.Value{"device": cty.StringVal(c.path())}
}

// ExportNames implements spec.ExportNames.
func (c *Config) ExportNames() []string { return []string{"device"} }

// path is the declared device, or else the stable link.
func (c *Config) path() string {
	if c.Device != "" {
		return c.Device
	}
	// Two files of the same base name differ in the hash of the whole path.
	sum := sha256.Sum256([]byte(c.File))
	return filepath.Join(linkDir, filepath.Base(c.File)+"-"+hex.EncodeToString(sum[:6]))
}

// example is the one on the kind's page of the manual.
//
//go:embed example.hcl
var example string

// Register adds kind loop. Its level is reset: an attached block device outlives
// every process of ours, and whoever has it open may go on writing to the file.
func Register(r *drivers.Registry) {
	busy := &calls{running: make(map[string]int)}
	drivers.DefineKind(r, "loop", "A file attached as a loop device.",
		func(_ drivers.Opening, c *Config) (drivers.Driver, error) {
			return &driver{config: c, calls: busy}, nil
		},
		drivers.WithLevel(spec.LevelReset), drivers.WithExample(example))
}

type driver struct {
	config *Config
	calls  *calls
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	var s drivers.Status
	err := d.calls.do(ctx, look, d.config.File, func(context.Context) (err error) {
		s, err = d.look()
		return err
	})
	if err != nil {
		return drivers.Status{}, err
	}
	return s, nil
}

// Start implements drivers.Driver.
func (d *driver) Start(ctx context.Context) error {
	return d.calls.do(ctx, "attach", d.config.File, d.attach)
}

// Stop implements drivers.Driver.
func (d *driver) Stop(ctx context.Context) error {
	return d.calls.do(ctx, "detach", d.config.File, d.detach)
}

func (d *driver) look() (drivers.Status, error) {
	c := d.config
	devices, err := attached(c.File)
	if err != nil {
		return drivers.Status{}, err
	}
	if len(devices) == 0 {
		return drivers.Status{State: drivers.Down}, nil
	}
	failed := func(format string, args ...any) (drivers.Status, error) {
		return drivers.Status{State: drivers.Failed, Detail: fmt.Sprintf(format, args...)}, nil
	}
	dev := devices[0]
	switch {
	case len(devices) > 1:
		return failed("attached twice, as %s and %s: what is written through one is not seen through the other", dev.path(), devices[1].path())
	case dev.deleted:
		return failed("%s holds a file that was deleted or replaced since", dev.path())
	case dev.leaving:
		return failed("%s is being detached once its last user has closed it", dev.path())
	case dev.readOnly != c.ReadOnly:
		return failed("%s is attached with read_only = %v", dev.path(), dev.readOnly)
	case c.Device != "" && c.Device != dev.path():
		return failed("attached as %s instead of %s", dev.path(), c.Device)
	}
	if to, err := os.Readlink(c.path()); c.Device == "" && (err != nil || to != dev.path()) {
		return failed("attached as %s, but the link %s does not lead there", dev.path(), c.path())
	}
	detail := dev.path()
	if c.DirectIO && !dev.directIO {
		detail += ", without direct I/O: the file system below can't do it"
	}
	return drivers.Status{State: drivers.Up, Detail: detail}, nil
}

func (d *driver) attach(ctx context.Context) error {
	c := d.config
	if err := c.create(); err != nil {
		return err
	}
	devices, err := attached(c.File)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		dev, err := c.bind(ctx)
		if err != nil {
			return err
		}
		devices = append(devices, dev)
	}
	dev := devices[0]
	// An adopted device may still lack its link, or be about to leave.
	if dev.leaving {
		if err := dev.keep(); err != nil {
			return fmt.Errorf("cannot attach %s: %s is being detached: %w (close what has it open)", c.File, dev.path(), err)
		}
	}
	if c.Device == "" {
		if err := link(c.path(), dev.path()); err != nil {
			return fmt.Errorf("cannot attach %s: no stable link to %s: %w", c.File, dev.path(), err)
		}
	}
	s, err := d.look()
	if err != nil {
		return err
	}
	if s.State != drivers.Up {
		return fmt.Errorf("cannot attach %s: %s (stop the resource, or losetup -d it, first)", c.File, s.Detail)
	}
	return nil
}

func (d *driver) detach(ctx context.Context) error {
	devices, err := attached(d.config.File)
	if err != nil {
		return err
	}
	for _, dev := range devices {
		if err := dev.release(ctx); err != nil {
			return fmt.Errorf("cannot detach %s: %w", d.config.File, err)
		}
	}
	if d.config.Device != "" {
		return nil
	}
	if err := os.Remove(d.config.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the link of %s: %w", d.config.File, err)
	}
	return nil
}

// create makes the missing file where a size was declared. It appears under its
// name only when complete: an agent that dies meanwhile leaves no empty file.
func (c *Config) create() error {
	info, err := os.Stat(c.File)
	if err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("cannot attach %s: it is not a regular file (use the device itself)", c.File)
		}
		if info.Size() < 512 {
			return fmt.Errorf("cannot attach %s: it holds no whole sector (remove it, and declare size to have it made)", c.File)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot attach %s: %w", c.File, err)
	}
	if c.Size == 0 {
		return fmt.Errorf("cannot attach %s: no such file (declare size to have it made)", c.File)
	}
	if _, err := os.Stat(filepath.Dir(c.File)); err != nil {
		return fmt.Errorf("cannot create %s: %w (make the directory, or mount what holds it)", c.File, err)
	}
	draft := filepath.Join(filepath.Dir(c.File), "."+filepath.Base(c.File)+".new")
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", c.File, err)
	}
	err = errors.Join(f.Truncate(int64(c.Size)), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(draft, c.File) // unlike a rename it replaces nothing
	}
	if err = errors.Join(err, os.Remove(draft)); err != nil {
		return fmt.Errorf("cannot create %s with %d bytes: %w", c.File, c.Size, err)
	}
	return nil
}

func link(name, to string) error {
	if now, err := os.Readlink(name); err == nil && now == to {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	draft := name + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, draft); err != nil {
		return err
	}
	return os.Rename(draft, name)
}

// calls keeps a file system that hangs from hanging the agent: a call returns when
// its context ends, and what it left behind bars the next call on the same file.
type calls struct {
	mu      sync.Mutex
	running map[string]int // by verb and file
}

// maxLooks bounds the probes of one file that may hang at once.
const maxLooks = 4

const look = "look at"

func (c *calls) do(ctx context.Context, verb, file string, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, file, err)
	}
	key, limit := "change "+file, 1
	if verb == look {
		key, limit = verb+" "+file, maxLooks
	}
	c.mu.Lock()
	if c.running[key] == limit {
		c.mu.Unlock()
		return fmt.Errorf("cannot %s %s: an earlier call hangs still (is the file system that holds it alive?)", verb, file)
	}
	c.running[key]++
	c.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		err := f(ctx)
		c.mu.Lock()
		if c.running[key]--; c.running[key] == 0 {
			delete(c.running, key)
		}
		c.mu.Unlock()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cannot %s %s: %w", verb, file, ctx.Err())
	}
}

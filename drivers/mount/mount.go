// Package mount mounts file systems: block devices, tmpfs, bind mounts, and those of NFS and SMB servers.
package mount

import (
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// Config is the schema of kind mount.
type Config struct {
	Device  string     `hcl:"device,optional" export:"true" doc:"A block device by path, or by UUID=, LABEL=, PARTUUID= or PARTLABEL=; for type bind the directory or file to show at path; for nfs \"server:/export\", for cifs \"//server/share\". Only tmpfs has none."`
	Path    string     `hcl:"path" export:"true" doc:"The mount point, an absolute path without symbolic links. It is made when missing."`
	Type    string     `hcl:"type" default:"auto" oneof:"auto ext4 xfs btrfs tmpfs bind nfs nfs4 cifs" export:"true" doc:"The type of the file system; auto takes what is on the device. nfs takes the version that server and client agree on, nfs4 version 4."`
	Options []string   `hcl:"options,optional" reload:"live" doc:"Mount options, as mount(8) takes them behind -o. Without soft or softerr an NFS mount is hard: programs wait for a lost server as long as it takes, and no write is lost."`
	Size    spec.Bytes `hcl:"size,optional" reload:"live" doc:"The most that a tmpfs may hold."`
	Mkfs    bool       `hcl:"mkfs" default:"false" reload:"live" doc:"Make the file system where the device is blank: no signature on it, its first and last MiB zero. Anything else on it is never touched."`
	Fsck    string     `hcl:"fsck" default:"auto" oneof:"auto never force" reload:"live" doc:"Check an ext file system before mounting: auto where it is marked as not clean, force always. xfs and btrfs check themselves."`
	Owner   string     `hcl:"owner,optional" reload:"live" doc:"The user, by name or number, who owns the mounted directory."`
	Group   string     `hcl:"group,optional" reload:"live" doc:"The group, by name or number, of the mounted directory."`
	Mode    string     `hcl:"mode,optional" reload:"live" doc:"The permissions of the mounted directory in octal, such as \"0700\"."`

	Username string `hcl:"username,optional" doc:"For cifs: who logs in at the server."`
	Password string `hcl:"password,optional" secret:"true" doc:"For cifs: the user's password, as secret(\"…\") gives it. It is handed to mount.cifs by a pipe."`
	Unmount  string `hcl:"unmount" default:"force" oneof:"wait force lazy" reload:"live" doc:"How Stop unmounts when the server of an nfs or cifs mount does not answer: wait only tries, force ends what waits for the server with an error (umount -f), lazy then also takes the mount out of sight while programs still hold it (umount -l). A server that answers is unmounted in order whatever is declared."`
}

var (
	modeForm    = drivers.Expression(`^[0-7]{3,4}$`)
	tagForm     = drivers.Expression(`^(UUID|LABEL|PARTUUID|PARTLABEL)=[^/\s]+$`)
	ownOptions  = []string{"remount", "bind", "rbind", "move", "loop"}
	systemPaths = []string{"/", "/proc", "/sys", "/dev", "/run", "/etc", "/usr"}
)

// Validate implements spec.Validator.
func (c *Config) Validate() (problems []spec.Problem) {
	add := func(field, summary, detail string, args ...any) {
		problems = append(problems, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
	}
	switch {
	case !absolute(c.Path):
		add("path", "path is not an absolute, clean path", "%q was given; write the whole path without \"..\", doubled or trailing slashes.", c.Path)
	case slices.Contains(systemPaths, c.Path):
		add("path", "path belongs to the system", "A mount over %s would hide what the host runs on; use a directory of the service's own.", c.Path)
	}
	problems = append(problems, c.source()...)
	problems = append(problems, c.overNetwork()...)
	if c.Size < 0 || c.Size > 0 && c.Type != "tmpfs" {
		add("size", "size is for tmpfs only", "A %s has the size of its device.", c.Type)
	}
	if c.Mkfs && !slices.Contains([]string{"ext4", "xfs", "btrfs"}, c.Type) {
		add("mkfs", "mkfs needs a type", "Write type = \"ext4\", \"xfs\" or \"btrfs\": what should be made.")
	}
	if c.Mode != "" && !modeForm().MatchString(c.Mode) {
		add("mode", "mode is not octal", "%q was given; write permissions such as \"0750\".", c.Mode)
	}
	for _, o := range c.options() {
		word, _, _ := strings.Cut(o, "=")
		if slices.Contains(ownOptions, word) {
			add("options", "option "+word+" is not for a file", "svcctl itself decides it; bind mounts have type = \"bind\", loop devices the kind loop.")
		}
	}
	return problems
}

// source finds what is wrong about the device, but for servers.
func (c *Config) source() (problems []spec.Problem) {
	add := func(field, summary, detail string, args ...any) {
		problems = append(problems, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
	}
	switch {
	case c.network() && c.Device != "":
	case c.Type == "tmpfs" && c.Device != "":
		add("device", "a tmpfs has no device", "Leave device out.")
	case c.Type != "tmpfs" && c.Device == "":
		add("device", "device is missing", "Write the block device, such as \"/dev/vg0/data\" or \"UUID=…\"; only type \"tmpfs\" has none.")
	case c.Type == "bind" && !absolute(c.Device):
		add("device", "device is not an absolute path", "For type \"bind\" it is the directory or file to show at path.")
	case c.Device != "" && !absolute(c.Device) && !tagForm().MatchString(c.Device):
		add("device", "device is neither an absolute path nor a tag", "%q was given; write \"/dev/…\", or UUID=, LABEL=, PARTUUID= or PARTLABEL= and a value.", c.Device)
	}
	return problems
}

func absolute(p string) bool { return filepath.IsAbs(p) && filepath.Clean(p) == p }

// options are the single words, however they were grouped.
func (c *Config) options() (out []string) {
	for _, o := range c.Options {
		for word := range strings.SplitSeq(o, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	}
	return out
}

// readOnly: the last word of ro and rw counts, as it does for mount(8).
func (c *Config) readOnly() (ro bool) {
	for _, o := range c.options() {
		switch o {
		case "ro":
			ro = true
		case "rw":
			ro = false
		}
	}
	return ro
}

// line is what follows -o.
func (c *Config) line(more ...string) string {
	words := append(more, c.options()...)
	if c.Size > 0 {
		words = append(words, "size="+strconv.FormatInt(int64(c.Size), 10))
	}
	return strings.Join(words, ",")
}

// example is the one on the kind's page of the manual.
//
//go:embed example.hcl
var example string

// Register adds kind mount. Its level is reset: the kernel keeps a mount, and writes
// back to its device, after every process of ours is gone.
func Register(r *drivers.Registry) {
	h := newHost()
	drivers.DefineKind(r, "mount", "A mounted file system: a block device, a tmpfs, a bind mount, or what an NFS or SMB server shares.",
		func(o drivers.Opening, c *Config) (drivers.Driver, error) {
			return &driver{host: h, config: c, reveal: o.Reveal}, nil
		},
		drivers.WithLevel(spec.LevelReset), drivers.WithExample(example))
}

// host is what all mounts of one program share.
type host struct {
	table table
	calls calls
	watch watch
}

func newHost() *host {
	h := &host{calls: calls{running: make(map[string]*call)}}
	h.calls.settle = h.settle
	return h
}

// driver is safe for concurrent use.
type driver struct {
	host   *host
	reveal func(string) (string, error) // nil: there are no secrets

	mu     sync.Mutex
	config *Config
	found  string // the device behind a tag such as UUID=, once known
}

func (d *driver) current() *Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// Status implements drivers.Prober. It reads the kernel's mount table and never the
// file system itself, which may hang.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	c := d.current()
	if err := ctx.Err(); err != nil {
		return drivers.Status{}, fmt.Errorf("cannot look at %s: %w", c.Path, err)
	}
	var v view
	if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
		return drivers.Status{}, err
	}
	if v.found && c.tagged() && d.known() == "" {
		if _, err := d.resolve(ctx, c, nil); err != nil {
			return drivers.Status{}, err
		}
	}
	return d.judge(c, &v), nil
}

// Start implements drivers.Driver.
func (d *driver) Start(ctx context.Context) error {
	c := d.current()
	return d.host.calls.do(ctx, "mount", c.Path, func(ctx context.Context, call *call) error {
		if err := d.mount(ctx, c, call); err != nil {
			return fmt.Errorf("cannot mount %s: %w", c.Path, err)
		}
		return nil
	})
}

// Stop implements drivers.Driver.
func (d *driver) Stop(ctx context.Context) error {
	c := d.current()
	return d.host.calls.do(ctx, "unmount", c.Path, func(ctx context.Context, call *call) error {
		if err := d.unmount(ctx, c, call); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", c.Path, err)
		}
		return nil
	})
}

// Update implements drivers.Updater.
func (d *driver) Update(ctx context.Context, config any) error {
	old, next := d.current(), config.(*Config)
	return d.host.calls.do(ctx, "remount", old.Path, func(ctx context.Context, call *call) error {
		if err := d.remount(ctx, old, next, call); err != nil {
			return fmt.Errorf("cannot remount %s: %w", old.Path, err)
		}
		d.mu.Lock()
		d.config = next
		d.mu.Unlock()
		return nil
	})
}

// Kill implements drivers.Killer: the processes that keep the mount busy are ended.
func (d *driver) Kill(ctx context.Context) error {
	c := d.current()
	return d.host.calls.do(ctx, "free", c.Path, func(ctx context.Context, _ *call) error {
		var v view
		if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
			return err
		}
		if !v.found || !d.ours(c, &v.top) {
			return nil
		}
		if err := kill(ctx, holders(ctx, c.Path)); err != nil {
			return fmt.Errorf("cannot free %s: %w", c.Path, err)
		}
		return nil
	})
}

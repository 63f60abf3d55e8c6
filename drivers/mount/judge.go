package mount

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/svcctl/svcctl/drivers"
	"golang.org/x/sys/unix"
)

func (c *Config) bindSource() string {
	if c.Type == "bind" {
		return c.Device
	}
	return ""
}

// judge compares what is mounted with what was declared. It asks for the number of
// a device node and for nothing else.
func (d *driver) judge(c *Config, v *view) drivers.Status {
	failed := func(format string, args ...any) drivers.Status {
		return drivers.Status{State: drivers.Failed, Detail: fmt.Sprintf(format, args...)}
	}
	if !v.found {
		return drivers.Status{State: drivers.Down}
	}
	top := &v.top
	if why := d.mismatch(c, v); why != "" {
		return failed("%s", why)
	}
	switch {
	case v.hidden != "":
		return failed("hidden by what was mounted over %s later", v.hidden)
	case top.has("shutdown"):
		return failed("the file system was shut down after an error (the kernel's log says which; unmount and check it)")
	case !c.readOnly() && (top.has("ro") || top.has("emergency_ro")):
		return failed("read-only though declared read-write: after an error the kernel may have made it so (its log says; unmount and check it)")
	case c.readOnly() && !top.has("ro"):
		return failed("read-write though declared read-only")
	}
	return drivers.Status{State: drivers.Up, Detail: top.source + " (" + top.kind + ")"}
}

// mismatch says what is mounted there instead, or "".
func (d *driver) mismatch(c *Config, v *view) string {
	top := &v.top
	other := fmt.Sprintf("%s (%s) is mounted there", top.source, top.kind)
	switch c.Type {
	case "tmpfs":
		if top.kind != "tmpfs" || top.root != "/" {
			return other + " instead of a tmpfs"
		}
		return ""
	case "bind":
		device, root := v.bound(c.Device)
		if strings.HasSuffix(top.root, "//deleted") {
			return fmt.Sprintf("%s was deleted while it was bound", c.Device)
		}
		if top.device != device || top.root != root {
			return fmt.Sprintf("%s, its directory %s, instead of %s", other, top.root, c.Device)
		}
		return ""
	}
	if c.network() {
		if !c.sameExport(top.kind, top.source) {
			return other + " instead of " + c.Device
		}
		return ""
	}
	if c.Type != "auto" && top.kind != c.Type {
		return fmt.Sprintf("%s instead of %s (%s)", other, c.Device, c.Type)
	}
	path := d.device(c)
	number, isBlock := deviceNumber(path)
	if !isBlock {
		return fmt.Sprintf("the device %s is gone, %s still", c.Device, other)
	}
	if top.kind == "btrfs" {
		if !sameBtrfs(path, number, top.source) {
			return other + " instead of " + c.Device
		}
		if want := c.subvolume(); want != "" && top.root != want {
			return fmt.Sprintf("%s with subvolume %s instead of %s", other, top.root, want)
		}
		return ""
	}
	if top.device != number {
		return other + " instead of " + c.Device
	}
	if top.root != "/" {
		return fmt.Sprintf("only %s of %s is mounted there, by a bind mount", top.root, c.Device)
	}
	return ""
}

// ours tells whether Stop may take e away: it is what was declared, or what is left
// of it. A mount whose device is gone is of use to nobody.
func (d *driver) ours(c *Config, e *entry) bool {
	switch c.Type {
	case "tmpfs":
		return e.kind == "tmpfs" && e.root == "/"
	case "bind":
		var v view
		if err := d.host.table.look(c.Path, c.Device, &v); err != nil {
			return false
		}
		device, root := v.bound(c.Device)
		return e.device == device && e.root == root || strings.HasSuffix(e.root, "//deleted")
	}
	if c.network() {
		return c.sameExport(e.kind, e.source)
	}
	number, isBlock := deviceNumber(d.device(c))
	if isBlock && (e.device == number || e.kind == "btrfs" && sameBtrfs(d.device(c), number, e.source)) {
		return true
	}
	if !strings.HasPrefix(e.source, "/dev/") {
		return false
	}
	now, exists := deviceNumber(e.source)
	return !exists || e.kind != "btrfs" && now != e.device
}

// bound is what the table shows for a bind mount of source: the device of the file
// system that holds source, and the path in it.
func (v *view) bound(source string) (device, root string) {
	if len(v.below) == 0 {
		return "", ""
	}
	holder := v.below[0]
	rest := strings.TrimPrefix(source, strings.TrimSuffix(holder.point, "/"))
	root = strings.TrimSuffix(holder.root, "/") + rest
	if root == "" {
		root = "/"
	}
	return holder.device, root
}

// subvolume is the path that option subvol asks for, as the table shows it.
func (c *Config) subvolume() string {
	for _, o := range c.options() {
		if v, is := strings.CutPrefix(o, "subvol="); is {
			return "/" + strings.Trim(v, "/")
		}
	}
	return ""
}

// deviceNumber returns major:minor of a block device node, links followed.
func deviceNumber(path string) (string, bool) {
	if path == "" {
		return "", false
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", false
	}
	return numberText(st.Rdev), true
}

func numberText(dev uint64) string {
	b := strconv.AppendUint(make([]byte, 0, 16), uint64(unix.Major(dev)), 10)
	b = append(b, ':')
	return string(strconv.AppendUint(b, uint64(unix.Minor(dev)), 10))
}

// sameBtrfs: a btrfs has a device number of its own and may span several devices, of
// which the table names one.
func sameBtrfs(path, number, source string) bool {
	if now, exists := deviceNumber(source); exists && now == number {
		return true
	}
	declared, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	sets, _ := filepath.Glob("/sys/fs/btrfs/*/devices/" + filepath.Base(declared))
	for _, s := range sets {
		with, _ := filepath.Glob(filepath.Join(filepath.Dir(s), filepath.Base(source)))
		if len(with) > 0 {
			return true
		}
	}
	return false
}

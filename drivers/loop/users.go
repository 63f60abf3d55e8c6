package loop

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxNamed bounds how many users of a device an error names.
const maxNamed = 5

// users names what the kernel itself does with the device: mounts in any
// namespace, device mapper and the like, swap.
func (d device) users() (by []string) {
	number := d.attribute("dev")
	seen := make(map[string]bool)
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, table := range append([]string{"/proc/self/mountinfo"}, tables...) {
		namespace, err := os.Readlink(filepath.Join(filepath.Dir(table), "ns", "mnt"))
		if err != nil || seen[namespace] {
			continue
		}
		seen[namespace] = true
		if at := d.mountedAt(table, number); at != "" {
			where := "mounted at " + at
			if len(seen) > 1 {
				where += " in the mount namespace of process " + filepath.Base(filepath.Dir(table))
			}
			by = append(by, where)
		}
	}
	holders, _ := filepath.Glob(d.sysfs("holders/*"))
	for _, h := range holders {
		by = append(by, "held by /dev/"+filepath.Base(h))
	}
	if swaps, err := os.ReadFile("/proc/swaps"); err == nil && strings.Contains(string(swaps), d.path()+" ") {
		by = append(by, "used as swap")
	}
	return by[:min(len(by), maxNamed)]
}

// mountedAt returns the first place where a table has the device. A btrfs has a
// device number of its own, so that only its source tells.
func (d device) mountedAt(table, number string) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		mount, super, ok := strings.Cut(lines.Text(), " - ")
		fields, source := strings.Fields(mount), strings.Fields(super)
		if !ok || len(fields) < 6 || len(source) < 2 {
			continue
		}
		if fields[2] == number || source[1] == d.path() {
			return fields[4]
		}
	}
	return ""
}

// openers names the processes that have the device open.
func (d device) openers(ctx context.Context) (by []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if ctx.Err() != nil || len(by) == maxNamed {
			break
		}
		descriptors, _ := filepath.Glob(p + "/fd/*")
		for _, fd := range descriptors {
			if to, err := os.Readlink(fd); err != nil || to != d.path() {
				continue
			}
			name, _ := os.ReadFile(p + "/comm")
			by = append(by, fmt.Sprintf("process %s (%s)", filepath.Base(p), strings.TrimSpace(string(name))))
			break
		}
	}
	return by
}

package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// groups are the control groups of one keeper: one below svcctl/<keeper>/ for each
// id, on cgroup2 for tracking and killing, and on whichever hierarchy has a
// controller for limits.
type groups struct {
	v2   string            // our folder on cgroup2; "" where we may not make one
	own  string            // the keeper's own group on cgroup2
	v1   map[string]string // controller → our folder on its hierarchy
	deny map[string]string // controller → why it can't be used

	once sync.Once // controllers are enabled at the first limit: it changes groups that are not ours
	did  bool      // once was used
	ctl  map[string]bool
}

// limited are the controllers that a limit may need.
var limited = []string{"memory", "cpu", "pids"}

type hierarchy struct{ mount, root, controllers string } // controllers "" is cgroup2

// findGroups makes the keeper's folders. It never fails: what it can't have is named
// by the limits that are not enforced.
func findGroups(name string) *groups {
	g := &groups{v1: make(map[string]string), deny: make(map[string]string), ctl: make(map[string]bool)}
	own := ownGroups()
	for _, h := range hierarchies() {
		if h.controllers == "" {
			at, own := baseOf(h, own[""])
			dir := filepath.Join(at, "svcctl", name)
			if g.v2 == "" && os.MkdirAll(dir, 0o755) == nil && unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) == nil {
				g.v2, g.own = dir, own
			}
			continue
		}
		for c := range strings.SplitSeq(h.controllers, ",") {
			for _, l := range limited {
				if c == l {
					at, _ := baseOf(h, own[c])
					g.v1[c] = filepath.Join(at, "svcctl", name)
				}
			}
		}
	}
	return g
}

// baseOf is where our groups go: the keeper's own group where that was delegated to
// us or where we are not root, else the top of the hierarchy.
func baseOf(h hierarchy, own string) (at, ownDir string) {
	rel, err := filepath.Rel(h.root, own)
	if err != nil || strings.HasPrefix(rel, "..") {
		rel = "."
	}
	ownDir = filepath.Join(h.mount, rel)
	if os.Geteuid() != 0 {
		return ownDir, ownDir
	}
	var v [8]byte
	for _, attr := range []string{"trusted.delegate", "user.delegate"} {
		if n, err := unix.Getxattr(ownDir, attr, v[:]); err == nil && string(v[:n]) == "1" {
			return ownDir, ownDir
		}
	}
	return h.mount, ownDir
}

func hierarchies() (out []hierarchy) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		switch r[0] {
		case "cgroup2":
			out = append(out, hierarchy{mount: l[4], root: l[3]})
		case "cgroup":
			out = append(out, hierarchy{mount: l[4], root: l[3], controllers: r[2]})
		}
	}
	return out
}

// ownGroups maps each controller, and "" for cgroup2, to the group of this process.
func ownGroups() map[string]string {
	out := make(map[string]string)
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 {
			for c := range strings.SplitSeq(f[1], ",") {
				out[c] = f[2]
			}
		}
	}
	return out
}

// escape makes one path element of any string, and different ones of different strings.
func escape(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		case c == '/':
			b.WriteByte('-')
		default:
			fmt.Fprintf(&b, "\\x%02x", c)
		}
	}
	if b.Len() > 200 {
		return fmt.Sprintf("%s-%016x", b.String()[:180], hash(id))
	}
	return b.String()
}

// dir is the group of an id on cgroup2, or "".
func (g *groups) dir(id string) string {
	if g.v2 == "" {
		return ""
	}
	return filepath.Join(g.v2, escape(id))
}

// open makes the group of an id and returns a descriptor to start a process in it.
func (g *groups) open(id string) (int, error) {
	dir := g.dir(id)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = unix.Mkdir(dir, 0o755); err == nil || errors.Is(err, unix.EEXIST) {
			fd, err = unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot make the control group %s: %w (is the cgroup file system writable?)", dir, err)
	}
	return fd, nil
}

// limit applies limits to an id. It returns the v1 groups that the process must
// join, and the limits that nothing enforces.
func (g *groups) limit(id string, l, before Limits) (join, not []string) {
	if l == (Limits{}) && before == (Limits{}) {
		return nil, nil
	}
	g.once.Do(g.enable)
	for _, c := range limited {
		value, declared := l.value(c)
		if !declared {
			if _, was := before.value(c); !was {
				continue
			}
		}
		joined, err := g.limitOne(id, c, value)
		if err == nil && joined != "" && declared {
			join = append(join, joined)
		}
		if err != nil && declared {
			not = append(not, fmt.Sprintf("%s is not enforced: %v", c, err))
		}
	}
	return join, not
}

// value is what cgroup2 wants to read; "max" where nothing is declared.
func (l Limits) value(controller string) (v string, declared bool) {
	switch controller {
	case "memory":
		if l.Memory > 0 {
			return strconv.FormatInt(l.Memory, 10), true
		}
	case "cpu":
		if l.CPU > 0 {
			return fmt.Sprintf("%d 100000", max(1000, int64(l.CPU*100000))), true
		}
	case "pids":
		if l.PIDs > 0 {
			return strconv.Itoa(l.PIDs), true
		}
	default:
		panic("internal error: no controller " + controller)
	}
	return "max", false
}

func (g *groups) limitOne(id, controller, value string) (join string, err error) {
	if g.v2 != "" && g.ctl[controller] {
		return "", os.WriteFile(filepath.Join(g.dir(id), controller+".max"), []byte(value), 0)
	}
	base := g.v1[controller]
	if base == "" {
		why := g.deny[controller]
		if why == "" {
			why = "no hierarchy here has the controller"
		}
		return "", errors.New(why)
	}
	dir := filepath.Join(base, escape(id))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the control group: %w", err)
	}
	switch controller {
	case "memory":
		err = writeMemoryV1(dir, strings.Replace(value, "max", "-1", 1))
	case "cpu":
		quota, period, _ := strings.Cut(value, " ")
		if period != "" {
			err = os.WriteFile(filepath.Join(dir, "cpu.cfs_period_us"), []byte(period), 0)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "cpu.cfs_quota_us"), []byte(strings.Replace(quota, "max", "-1", 1)), 0)
		}
	case "pids":
		err = os.WriteFile(filepath.Join(dir, "pids.max"), []byte(value), 0)
	}
	return dir, err
}

// writeMemoryV1 sets memory, and memory with swap where that is accounted. The latter
// may never be the smaller one, so that the order depends on where we come from.
func writeMemoryV1(dir, value string) error {
	plain, swap := filepath.Join(dir, "memory.limit_in_bytes"), filepath.Join(dir, "memory.memsw.limit_in_bytes")
	hasSwap := unix.Access(swap, unix.W_OK) == nil
	if hasSwap {
		_ = os.WriteFile(swap, []byte("-1"), 0) // refused where it is so already
	}
	if err := os.WriteFile(plain, []byte(value), 0); err != nil {
		return err
	}
	if hasSwap && value != "-1" {
		return os.WriteFile(swap, []byte(value), 0)
	}
	return nil
}

// memoryKills counts the processes that the kernel killed since the group of an id
// reached its memory limit.
func (g *groups) memoryKills(id string) int {
	file := ""
	switch {
	case g.v2 != "" && g.ctl["memory"]:
		file = filepath.Join(g.dir(id), "memory.events")
	case g.v1["memory"] != "":
		file = filepath.Join(g.v1["memory"], escape(id), "memory.oom_control")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, _ := strconv.Atoi(strings.TrimSpace(n))
			return count
		}
	}
	return 0
}

// enable hands the controllers of cgroup2 down to the groups of the ids.
func (g *groups) enable() {
	g.did = true
	if g.v2 == "" {
		return
	}
	svcctl := filepath.Dir(g.v2)
	top := filepath.Dir(svcctl)
	for _, c := range limited {
		if !hasController(top, c) {
			continue
		}
		err := hand(top, c)
		if errors.Is(err, unix.EBUSY) && top == g.own {
			// A group with controllers for its children holds no process itself.
			evacuate(top, filepath.Join(top, "agent"))
			err = hand(top, c)
		}
		for _, dir := range []string{svcctl, g.v2} {
			if err == nil {
				err = hand(dir, c)
			}
		}
		if err != nil {
			g.deny[c] = fmt.Sprintf("cannot enable the controller: %v (was the agent's group delegated?)", err)
			continue
		}
		g.ctl[c] = true
	}
}

func hand(dir, controller string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
}

func hasController(dir, controller string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return false
	}
	for c := range strings.FieldsSeq(string(b)) {
		if c == controller {
			return true
		}
	}
	return false
}

func evacuate(from, to string) {
	if os.MkdirAll(to, 0o755) != nil {
		return
	}
	for _, pid := range groupPIDs(from) {
		_ = os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0) // it may just have ended
	}
}

// remove deletes the groups of an id. One that is still in use stays; the next
// removal, or the next keeper, gets it.
func (g *groups) remove(id string) {
	if g.v2 != "" {
		removeTree(g.dir(id))
	}
	for _, base := range g.v1 {
		_ = unix.Rmdir(filepath.Join(base, escape(id)))
	}
}

func removeTree(dir string) {
	if err := unix.Rmdir(dir); err == nil || errors.Is(err, unix.ENOENT) {
		return
	}
	children, _ := os.ReadDir(dir)
	for _, c := range children {
		if c.IsDir() {
			removeTree(filepath.Join(dir, c.Name()))
		}
	}
	_ = unix.Rmdir(dir)
}

// close removes the keeper's own folders.
func (g *groups) close() {
	dirs := []string{}
	if g.v2 != "" {
		removeTree(g.v2)
		dirs = append(dirs, g.v2)
	}
	for _, base := range g.v1 {
		removeTree(base)
		dirs = append(dirs, base)
	}
	for _, d := range dirs {
		_ = unix.Rmdir(filepath.Dir(d)) // stays while another keeper uses it
	}
}

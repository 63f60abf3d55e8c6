package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that tells whose process it is where there is
// no control group to tell.
const marker = "SVCCTL_RUN="

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// groupPIDs lists the processes of a group and of those below it.
func groupPIDs(dir string) []int {
	var pids []int
	var buf [4096]byte
	fd, err := unix.Open(dir+"/cgroup.procs", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var rest []byte
	for {
		n, err := unix.Read(fd, buf[:])
		if n <= 0 || err != nil {
			break
		}
		rest = append(rest, buf[:n]...)
	}
	for line := range bytes.Lines(rest) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	var st unix.Stat_t
	if unix.Fstatat(unix.AT_FDCWD, dir, &st, 0) == nil && st.Nlink > 2 { // the kernel counts subgroups there
		below, _ := os.ReadDir(dir)
		for _, d := range below {
			if d.IsDir() {
				pids = append(pids, groupPIDs(filepath.Join(dir, d.Name()))...)
			}
		}
	}
	return pids
}

// census is one look at all processes, for hosts that give us no control group.
type census struct {
	at    time.Time
	procs map[int]kin
}

type kin struct {
	parent, group, session int
	zombie                 bool
	marker                 string // read for those that have no other tie
	marked                 bool
}

func takeCensus() *census {
	c := &census{at: time.Now(), procs: make(map[int]kin)}
	dir, err := os.Open("/proc")
	if err != nil {
		return c
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if k, ok := readKin(pid); ok {
			c.procs[pid] = k
		}
	}
	return c
}

func readKin(pid int) (k kin, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return k, false
	}
	end := bytes.LastIndexByte(b, ')') // the name may hold anything
	if end < 0 {
		return k, false
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 4 {
		return k, false
	}
	k.zombie = f[0] == "Z" || f[0] == "X"
	k.parent, _ = strconv.Atoi(f[1])
	k.group, _ = strconv.Atoi(f[2])
	k.session, _ = strconv.Atoi(f[3])
	return k, true
}

func readMarker(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if m, ok := bytes.CutPrefix(v, []byte(marker)); ok {
			return string(m)
		}
	}
	return ""
}

// members lists the living processes of a main process: those of its session and
// group, its descendants, and orphans of ours that carry its mark with theirs.
func (c *census) members(main int, mark string, self int) (pids []int) {
	verdict := make(map[int]bool)
	var belongs func(pid, depth int) bool
	belongs = func(pid, depth int) bool {
		if v, known := verdict[pid]; known {
			return v
		}
		k, ok := c.procs[pid]
		if !ok || pid <= 1 || pid == self || depth > 1000 {
			return false
		}
		v := pid == main || k.session == main || k.group == main
		switch {
		case v:
		case k.parent == self:
			if !k.marked {
				k.marked, k.marker = true, readMarker(pid)
				c.procs[pid] = k
			}
			v = strings.HasPrefix(k.marker, mark)
		default:
			v = belongs(k.parent, depth+1)
		}
		verdict[pid] = v
		return v
	}
	for pid, k := range c.procs {
		if !k.zombie && belongs(pid, 0) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// tree lists the living processes of an entry. Fresh makes it look now, where a
// census of some milliseconds ago would do to send a first signal.
func (s *server) tree(e *entry, fresh bool) []int {
	if e.grouped {
		return groupPIDs(s.groups.dir(e.id))
	}
	if e.main == 0 {
		return nil
	}
	if s.census == nil || fresh || time.Since(s.census.at) > 20*time.Millisecond {
		s.census = takeCensus()
	}
	return s.census.members(e.main, s.mark(e.id), s.pid)
}

func (s *server) mark(id string) string { return fmt.Sprintf("%s.%016x.", s.name, hash(id)) }

// kill ends a whole tree by force. It is called again until nothing is left.
func (s *server) kill(e *entry) {
	if e.grouped {
		dir := s.groups.dir(e.id)
		if os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0) == nil {
			e.spent = true
			return
		}
		// Before Linux 5.14: a frozen group can't fork away from the signal.
		_ = os.WriteFile(dir+"/cgroup.freeze", []byte("1"), 0)
		defer os.WriteFile(dir+"/cgroup.freeze", []byte("0"), 0)
		for _, pid := range groupPIDs(dir) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
	stopped := make(map[int]bool)
	for range 50 { // stopped processes don't fork: a round that finds no other one has them all
		found := false
		for _, pid := range s.tree(e, true) {
			if !stopped[pid] {
				stopped[pid], found = true, true
				_ = unix.Kill(pid, unix.SIGSTOP)
			}
		}
		if !found {
			break
		}
	}
	for pid := range stopped {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// endLeftovers kills what an earlier keeper of this folder left behind: its direct
// children died with it, their children did not.
func endLeftovers(g *groups, name string, bound time.Duration) error {
	deadline := time.Now().Add(bound)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		left := leftovers(g, name)
		if len(left) == 0 {
			if g.v2 != "" {
				removeTree(g.v2) // what is born into a group that was killed so is killed too
				return os.MkdirAll(g.v2, 0o755)
			}
			return nil
		}
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot end what an earlier keeper left behind: %s", describe(left))
		}
		time.Sleep(wait)
	}
}

func leftovers(g *groups, name string) (left []int) {
	if g.v2 != "" {
		below, _ := os.ReadDir(g.v2)
		for _, d := range below {
			if !d.IsDir() {
				continue
			}
			dir := filepath.Join(g.v2, d.Name())
			_ = os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0)
			left = append(left, groupPIDs(dir)...)
		}
		return left
	}
	names, _ := os.ReadDir("/proc")
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if strings.HasPrefix(readMarker(pid), name+".") {
			if k, ok := readKin(pid); ok && !k.zombie {
				left = append(left, pid)
			}
		}
	}
	return left
}

// describe names the first of some processes that won't end, and why.
func describe(pids []int) string {
	if len(pids) == 0 {
		return "nothing"
	}
	pid := pids[0]
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Sprintf("process %d, which just ended", pid)
	}
	more := ""
	if len(pids) > 1 {
		more = fmt.Sprintf(" and %d more", len(pids)-1)
	}
	state := "it does not end"
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		if end := bytes.LastIndexByte(b, ')'); end > 0 && bytes.HasPrefix(b[end:], []byte(") D")) {
			state = "it waits in the kernel, state D: is a disk or a network file system hung?"
		}
	}
	return fmt.Sprintf("process %d (%s)%s (%s)", pid, bytes.TrimSpace(name), more, state)
}

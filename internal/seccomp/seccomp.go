// Package seccomp compiles profiles of system calls, in the format of Docker and OCI, into filters for the kernel.
package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Host is what the conditions of a profile are held against.
type Host struct {
	Arch         string   // as Go names it: amd64 or arm64
	Kernel       [2]int   // version, such as 6, 12
	Capabilities []string // that the process keeps: CAP_SYS_ADMIN, …
}

// Here is this host, for a process with some capabilities.
func Here(capabilities []string) (Host, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Host{}, fmt.Errorf("cannot ask for the kernel's version: %w", err)
	}
	h := Host{Arch: runtime.GOARCH, Capabilities: capabilities}
	release := unix.ByteSliceToString(u.Release[:])
	if n, _ := fmt.Sscanf(release, "%d.%d", &h.Kernel[0], &h.Kernel[1]); n != 2 {
		return Host{}, fmt.Errorf("cannot read the kernel's version %q", release)
	}
	return h, nil
}

// Profile is a profile that was read. It is immutable and safe for concurrent use.
type Profile struct{ moby moby.Seccomp }

// Default is the profile that Docker gives to containers.
var Default = sync.OnceValue(func() *Profile { return &Profile{*moby.DefaultProfile()} })

// maxProfile bounds the file of a profile.
const maxProfile = 1 << 20

// Read reads the profile of a file.
func Read(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the seccomp profile %s: %w (is it on every node?)", path, errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the seccomp profile %s: %w", path, err)
	}
	if len(b) > maxProfile {
		return nil, fmt.Errorf("cannot read the seccomp profile %s: it is larger than %d bytes", path, maxProfile)
	}
	p := &Profile{}
	if err := json.Unmarshal(b, &p.moby); err != nil {
		return nil, fmt.Errorf("cannot read the seccomp profile %s: %w (it is written as Docker's default.json is)", path, err)
	}
	if p.moby.DefaultAction == "" {
		return nil, fmt.Errorf("cannot use the seccomp profile %s: it has no defaultAction (SCMP_ACT_ERRNO refuses what it does not list)", path)
	}
	return p, nil
}

// rule is one of a system call: the action where all its conditions hold.
type rule struct {
	conditions []specs.LinuxSeccompArg
	action     uint32
}

// Compile makes the filter of a profile for a host.
func (p *Profile) Compile(h Host) ([]bpf.RawInstruction, error) {
	numbers, err := numbersOf(h.Arch)
	if err != nil {
		return nil, err
	}
	fallback, err := returned(p.moby.DefaultAction, p.moby.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	rules := make(map[uint32][]rule)
	for _, s := range p.moby.Syscalls {
		if !holds(s.Includes, h, true) || !holds(s.Excludes, h, false) {
			continue
		}
		action, err := returned(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, err
		}
		names := s.Names
		//lint:ignore SA1019 old profiles still have it
		if old := s.Name; old != "" {
			names = append(slices.Clip(names), old)
		}
		for _, name := range names {
			n, known := numbers[name]
			if !known {
				if action != unix.SECCOMP_RET_ALLOW && action != fallback && !anywhere()[name] {
					return nil, fmt.Errorf("cannot use the seccomp profile: there is no system call %q to refuse (is it misspelled?)", name)
				}
				continue // of another architecture, or newer than this program: what is not listed is refused
			}
			if action != fallback {
				rules[n] = append(rules[n], split(s.Args, action)...)
			}
		}
	}
	return assemble(h.Arch, rules, fallback, numbers)
}

// split makes rules of conditions. Several on one argument are alternatives, as runc
// reads them; else all must hold.
func split(args []specs.LinuxSeccompArg, action uint32) []rule {
	seen := make(map[uint]bool)
	all, alternatives := rule{action: action}, []rule(nil)
	twice := false
	for _, a := range args {
		twice = twice || seen[a.Index]
		seen[a.Index] = true
		all.conditions = append(all.conditions, a)
		alternatives = append(alternatives, rule{[]specs.LinuxSeccompArg{a}, action})
	}
	if twice {
		return alternatives
	}
	return []rule{all}
}

func holds(f *moby.Filter, h Host, want bool) bool {
	if f == nil {
		return true
	}
	// Included is what all conditions hold for, excluded what one of them holds for.
	var met []bool
	if len(f.Arches) > 0 {
		met = append(met, slices.Contains(f.Arches, h.Arch))
	}
	for _, c := range f.Caps {
		met = append(met, slices.Contains(h.Capabilities, c))
	}
	if k := f.MinKernel; k != nil {
		met = append(met, uint64(h.Kernel[0]) > k.Kernel || uint64(h.Kernel[0]) == k.Kernel && uint64(h.Kernel[1]) >= k.Major)
	}
	return !slices.Contains(met, !want)
}

// returned is what a filter returns for an action.
func returned(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	number := uint32(unix.EPERM)
	if errno != nil {
		number = uint32(*errno) & unix.SECCOMP_RET_DATA
	}
	switch a {
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | number, nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActTrace, specs.ActNotify:
		return 0, fmt.Errorf("cannot use the seccomp profile: nobody listens to the action %s (write SCMP_ACT_ERRNO)", a)
	default:
		return 0, fmt.Errorf("cannot use the seccomp profile: there is no action %q (SCMP_ACT_ALLOW and SCMP_ACT_ERRNO are the usual ones)", a)
	}
}

var parsed sync.Map // architecture → map[string]uint32

func numbersOf(arch string) (map[string]uint32, error) {
	if m, ok := parsed.Load(arch); ok {
		return m.(map[string]uint32), nil
	}
	text, ok := numbers[arch]
	if !ok {
		return nil, fmt.Errorf("cannot make a seccomp filter: the system calls of %s are not known (write seccomp = \"none\")", arch)
	}
	m := make(map[string]uint32)
	next := uint32(0)
	for _, word := range strings.Fields(text) {
		if n, is := strings.CutPrefix(word, "="); is {
			at, err := strconv.ParseUint(n, 10, 31)
			if err != nil {
				panic("internal error: table of system calls: " + err.Error())
			}
			next = uint32(at)
			continue
		}
		m[word] = next
		next++
	}
	parsed.Store(arch, m)
	return m, nil
}

// anywhere are the names that some architecture knows.
var anywhere = sync.OnceValue(func() map[string]bool {
	m := make(map[string]bool)
	for _, text := range numbers {
		for _, word := range strings.Fields(text) {
			m[word] = true
		}
	}
	for _, word := range strings.Fields(elsewhere) {
		m[word] = true
	}
	return m
})

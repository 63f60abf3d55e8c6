package seccomp

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// machine runs a filter on calls, as the kernel would. It reads big-endian words, in
// which the offsets of a filter mean the same.
type machine struct {
	t    *testing.T
	vm   *bpf.VM
	arch string
}

func compile(t *testing.T, p *Profile, h Host) machine {
	t.Helper()
	raw, err := p.Compile(h)
	if err != nil {
		t.Fatal(err)
	}
	code, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has instructions that nobody knows")
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	return machine{t, vm, h.Arch}
}

func (m machine) raw(arch, number uint32, args ...uint64) uint32 {
	m.t.Helper()
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], number)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	got, err := m.vm.Run(data)
	if err != nil {
		m.t.Fatal(err)
	}
	return uint32(got)
}

func (m machine) call(name string, args ...uint64) uint32 {
	m.t.Helper()
	numbers, err := numbersOf(m.arch)
	if err != nil {
		m.t.Fatal(err)
	}
	n, ok := numbers[name]
	if !ok {
		m.t.Fatalf("%s has no %s", m.arch, name)
	}
	return m.raw(audit[m.arch], n, args...)
}

const (
	allow = uint32(unix.SECCOMP_RET_ALLOW)
	eperm = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	enos  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
)

func profile(t *testing.T, text string) *Profile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheDefaultProfileAllowsWhatProgramsNeedAndNotWhatHosts(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		none := compile(t, Default(), Host{Arch: arch, Kernel: [2]int{6, 12}})
		admin := compile(t, Default(), Host{Arch: arch, Kernel: [2]int{6, 12}, Capabilities: []string{"CAP_SYS_ADMIN", "CAP_SYS_TIME"}})
		for _, name := range []string{"read", "write", "execve", "newfstatat", "futex", "epoll_pwait", "openat", "exit_group", "socket", "prctl"} {
			if got := none.call(name); got != allow {
				t.Errorf("%s: %s is answered with %#x", arch, name, got)
			}
		}
		for _, name := range []string{"mount", "umount2", "keyctl", "add_key", "setns", "unshare", "kexec_load", "init_module", "reboot", "clock_settime", "bpf"} {
			if got := none.call(name); got != eperm {
				t.Errorf("%s: %s is answered with %#x, not EPERM", arch, name, got)
			}
		}
		for _, name := range []string{"mount", "setns", "clock_settime", "clone3"} {
			if got := admin.call(name); got != allow {
				t.Errorf("%s with capabilities: %s is answered with %#x", arch, name, got)
			}
		}
		if got := none.call("clone", unix.CLONE_NEWUSER|uint64(unix.SIGCHLD)); got != eperm {
			t.Errorf("%s: a new user namespace is answered with %#x", arch, got)
		}
		if got := none.call("clone", unix.CLONE_VM|unix.CLONE_THREAD); got != allow {
			t.Errorf("%s: a new thread is answered with %#x", arch, got)
		}
		if got := none.call("clone3"); got != enos {
			t.Errorf("%s: clone3 is answered with %#x, so that a C library does not take clone", arch, got)
		}
		if got := none.raw(audit[arch], 3000); got != enos {
			t.Errorf("%s: a call of the future is answered with %#x, not ENOSYS", arch, got)
		}
		if got := none.raw(unix.AUDIT_ARCH_I386, 1); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("%s: a program of another architecture is answered with %#x", arch, got)
		}
		if numbers, _ := numbersOf(arch); arch == "amd64" && none.raw(audit[arch], numbers["read"]|1<<30) != eperm {
			t.Error("a call of x32 is not refused")
		}
	}
}

func TestArgumentsAreComparedIn64Bits(t *testing.T) {
	const big = 1<<40 | 7
	for op, ok := range map[string]struct{ yes, no []uint64 }{
		"SCMP_CMP_EQ": {[]uint64{big}, []uint64{7, big + 1, big | 1<<41}},
		"SCMP_CMP_NE": {[]uint64{7, big + 1, big | 1<<41}, []uint64{big}},
		"SCMP_CMP_GT": {[]uint64{big + 1, 1 << 41}, []uint64{big, big - 1, 7, 0xffffffff}},
		"SCMP_CMP_GE": {[]uint64{big, big + 1, 1 << 41}, []uint64{big - 1, 7}},
		"SCMP_CMP_LT": {[]uint64{big - 1, 7, 0xffffffff}, []uint64{big, big + 1, 1 << 41}},
		"SCMP_CMP_LE": {[]uint64{big, 7}, []uint64{big + 1, 1 << 41}},
	} {
		m := compile(t, profile(t, `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["lseek"],"action":"SCMP_ACT_ALLOW",
			"args":[{"index":1,"value":1099511627783,"op":"`+op+`"}]}]}`), Host{Arch: "amd64", Kernel: [2]int{6, 12}})
		for _, v := range ok.yes {
			if got := m.call("lseek", 0, v); got != allow {
				t.Errorf("%s: %#x is answered with %#x", op, v, got)
			}
		}
		for _, v := range ok.no {
			if got := m.call("lseek", 0, v); got != eperm {
				t.Errorf("%s: %#x is answered with %#x", op, v, got)
			}
		}
	}
}

func TestConditionsOfOneRuleMustAllHoldAndThoseOfOneArgumentAreAlternatives(t *testing.T) {
	m := compile(t, profile(t, `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
		{"names":["lseek"],"action":"SCMP_ACT_ERRNO","errnoRet":5,"args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":2,"value":6,"valueTwo":4,"op":"SCMP_CMP_MASKED_EQ"}]},
		{"names":["dup2"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
		{"name":"sync","action":"SCMP_ACT_ERRNO"}]}`), Host{Arch: "amd64", Kernel: [2]int{6, 12}})
	eio := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EIO)
	for _, c := range []struct {
		want, got uint32
	}{
		{eio, m.call("lseek", 1, 0, 5)}, {allow, m.call("lseek", 1, 0, 6)}, {allow, m.call("lseek", 0, 0, 4)}, {eio, m.call("lseek", 1, 9, 4)},
		{unix.SECCOMP_RET_KILL_PROCESS, m.call("dup2", 1)}, {unix.SECCOMP_RET_KILL_PROCESS, m.call("dup2", 2)}, {allow, m.call("dup2", 3)},
		{eperm, m.call("sync")}, {allow, m.call("read")}, {allow, m.raw(audit["amd64"], 3000)},
	} {
		if c.got != c.want {
			t.Errorf("answered with %#x, not %#x", c.got, c.want)
		}
	}
}

func TestConditionsOnTheHostAreEvaluated(t *testing.T) {
	text := `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
		{"names":["sync"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"5.10"}},
		{"names":["fsync"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["arm64"]}},
		{"names":["acct"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_PACCT"]}}]}`
	for _, c := range []struct {
		host              Host
		sync, fsync, acct uint32
	}{
		{Host{Arch: "amd64", Kernel: [2]int{5, 9}}, eperm, eperm, allow},
		{Host{Arch: "arm64", Kernel: [2]int{5, 10}}, allow, allow, allow},
		{Host{Arch: "amd64", Kernel: [2]int{6, 1}, Capabilities: []string{"CAP_SYS_PACCT"}}, allow, eperm, eperm},
	} {
		m := compile(t, profile(t, text), c.host)
		if got := [3]uint32{m.call("sync"), m.call("fsync"), m.call("acct")}; got != [3]uint32{c.sync, c.fsync, c.acct} {
			t.Errorf("%+v: answered with %#x", c.host, got)
		}
	}
}

func TestABadProfileSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                  "unexpected end",
		`{"syscalls":[]}`:                    "no defaultAction",
		`{"defaultAction":"SCMP_ACT_ALOW"}`:  `no action "SCMP_ACT_ALOW"`,
		`{"defaultAction":"SCMP_ACT_TRACE"}`: "nobody listens",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mout"],"action":"SCMP_ACT_ERRNO"}]}`:                                                    `no system call "mout"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"EQ"}]}]}`:          `no comparison "EQ"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}`: "no argument 6",
	} {
		path := filepath.Join(t.TempDir(), "profile.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Read(path)
		if err == nil {
			_, err = p.Compile(Host{Arch: "amd64", Kernel: [2]int{6, 12}})
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Read("/no/such/profile"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestTheTableHasTheNumbersOfThisHost(t *testing.T) {
	h, err := Here(nil)
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := numbersOf(h.Arch)
	if err != nil {
		t.Skip(err)
	}
	for name, want := range map[string]uint32{"read": unix.SYS_READ, "mount": unix.SYS_MOUNT, "seccomp": unix.SYS_SECCOMP, "openat2": unix.SYS_OPENAT2, "mount_setattr": unix.SYS_MOUNT_SETATTR} {
		if numbers[name] != want {
			t.Errorf("%s has the number %d, not %d", name, numbers[name], want)
		}
	}
}

func TestAProfileThatListsWhatIsRefusedRefusesItByX32Too(t *testing.T) {
	for _, fallback := range []string{"ALLOW", "LOG"} {
		p := profile(t, `{"defaultAction": "SCMP_ACT_`+fallback+`", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}`)
		m := compile(t, p, Host{Arch: "amd64", Kernel: [2]int{6, 12}})
		if got := m.call("mount"); got != eperm {
			t.Errorf("%s: mount: %#x", fallback, got)
		}
		if got := m.raw(audit["amd64"], 1<<30|165); got != enos {
			t.Errorf("%s: mount of x32: %#x", fallback, got)
		}
		if got := m.call("getpid"); got == eperm || got == enos {
			t.Errorf("%s: getpid: %#x", fallback, got)
		}
	}
}

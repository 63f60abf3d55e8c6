package app

import (
	"encoding/binary"
	"path/filepath"
	"strings"

	"github.com/svcctl/svcctl/internal/seccomp"
	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/spec"
)

// Sandbox says what an app is kept from, in the words of systemd. What is left out is safe.
type Sandbox struct {
	PrivateTmp            bool     `hcl:"private_tmp" default:"true" doc:"An empty /tmp and /var/tmp of its own, in memory, that end with it."`
	ProtectSystem         string   `hcl:"protect_system" default:"strict" oneof:"no yes full strict" doc:"What it can't write: yes: /usr, /boot and /efi; full: /etc too; strict: everything but read_write_paths, its own /tmp, /proc, /sys and /dev."`
	ProtectHome           string   `hcl:"protect_home" default:"yes" oneof:"no yes read-only tmpfs" doc:"What becomes of /home, /root and /run/user: yes: they can't be entered; read-only; tmpfs: they are empty."`
	ReadOnlyPaths         []string `hcl:"read_only_paths,optional" doc:"Paths that it can read only, with all that is mounted below them. With \"-\" in front a path may be missing, here and in the arguments below."`
	ReadWritePaths        []string `hcl:"read_write_paths,optional" doc:"Paths that stay as they are inside of those that it can only read: its data, and the folder of its pid file or socket."`
	InaccessiblePaths     []string `hcl:"inaccessible_paths,optional" doc:"Paths that it can neither read nor enter."`
	TemporaryPaths        []string `hcl:"temporary_paths,optional" doc:"Folders that are empty for it; what it writes there is in memory and ends with it."`
	PrivateDevices        bool     `hcl:"private_devices" default:"true" doc:"A /dev with null, zero, full, random, urandom, tty, terminals of its own and shared memory: no disk, no hardware."`
	ProtectKernelTunables bool     `hcl:"protect_kernel_tunables" default:"true" doc:"/proc/sys, /sys and the like can't be written; the addresses and memory of the kernel can't be read."`
	ProtectControlGroups  bool     `hcl:"protect_control_groups" default:"true" doc:"/sys/fs/cgroup can't be written."`
	NoNewPrivileges       bool     `hcl:"no_new_privileges" default:"true" doc:"Programs such as sudo give it no rights that it has not. A seccomp filter implies it."`
	Capabilities          []string `hcl:"capabilities,optional" doc:"What it keeps of the rights of root, such as CAP_NET_BIND_SERVICE; also where its user is another one. Default: nothing, not even for root."`
	Seccomp               string   `hcl:"seccomp" default:"default" doc:"The system calls that it may make. default: those of Docker's own profile; none: all; or the absolute path of a profile in the format of Docker and OCI, on the node."`
	PrivateNetwork        bool     `hcl:"private_network" default:"false" doc:"A network namespace of its own with nothing but lo. To give it an address use netns instead."`
}

// capabilities are the names of the kernel, by number.
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// capability is the number of a name, with or without CAP_ in front, in any case.
func capability(name string) (int, bool) {
	short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for n, c := range capabilities {
		if c == short {
			return n, true
		}
	}
	return 0, false
}

// Validate implements spec.Validator.
func (s *Sandbox) Validate() []spec.Problem {
	var out problems
	for _, list := range s.lists() {
		for _, p := range list.paths {
			path := strings.TrimPrefix(p, "-")
			switch {
			case !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
				out.add(list.field, "Relative path", "%q depends on where one stands. Write an absolute path.", p)
			case filepath.Clean(path) == "/" && list.as != keeper.ReadOnly:
				out.add(list.field, "The whole file system", "\"/\" can't be in %s. Name what the app needs, or write protect_system = \"no\".", list.field)
			}
		}
	}
	for _, name := range s.Capabilities {
		if _, known := capability(name); !known {
			out.add("capabilities", "Unknown capability", "There is no capability %q. Write names such as \"CAP_NET_BIND_SERVICE\"; man 7 capabilities lists them.", name)
		}
	}
	if s.Seccomp != "default" && s.Seccomp != "none" && !strings.HasPrefix(s.Seccomp, "/") {
		out.add("seccomp", "Not a profile", "%q is no profile. Write \"default\", \"none\", or the absolute path of a file.", s.Seccomp)
	}
	return out
}

type pathList struct {
	field string
	as    keeper.Look
	paths []string
}

// lists are the arguments with paths. Of two looks of one path the later counts.
func (s *Sandbox) lists() []pathList {
	return []pathList{
		{"read_write_paths", keeper.AsItIs, s.ReadWritePaths},
		{"read_only_paths", keeper.ReadOnly, s.ReadOnlyPaths},
		{"temporary_paths", keeper.Empty, s.TemporaryPaths},
		{"inaccessible_paths", keeper.Hidden, s.InaccessiblePaths},
	}
}

// confinement is what the keeper is asked for; nil where there is nothing to ask.
func (c *Program) confinement() *keeper.Confinement {
	path, err := c.netnsPath()
	if err != nil {
		panic("internal error: an invalid namespace was accepted: " + err.Error())
	}
	s := c.Sandbox
	if s == nil {
		if path == "" {
			return nil
		}
		return &keeper.Confinement{Netns: path}
	}
	out := &keeper.Confinement{
		Netns: path, OwnNetwork: s.PrivateNetwork, Places: s.places(),
		DropOthers: true, NoNewPrivileges: s.NoNewPrivileges,
	}
	for _, name := range s.Capabilities {
		n, known := capability(name)
		if !known {
			panic("internal error: an invalid capability was accepted: " + name)
		}
		out.Capabilities = append(out.Capabilities, n)
	}
	return out
}

// filterOf is the filter of c; that of Docker's profile is compiled once.
func (a *app) filterOf(c *Config) (filter []byte, err error) {
	if c.Sandbox.Seccomp != "default" {
		return c.Sandbox.filter()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filtered != c {
		if filter, err = c.Sandbox.filter(); err != nil {
			return nil, err
		}
		a.filtered, a.filter = c, filter
	}
	return a.filter, nil
}

// places are those of the host that look different inside.
func (s *Sandbox) places() (out []keeper.Place) {
	add := func(argument string, as keeper.Look, paths ...string) {
		for _, p := range paths {
			out = append(out, keeper.Place{Path: p, As: as, Optional: true, Because: "sandbox." + argument})
		}
	}
	switch s.ProtectSystem {
	case "no":
	case "yes":
		add("protect_system", keeper.ReadOnly, "/usr", "/boot", "/efi")
	case "full":
		add("protect_system", keeper.ReadOnly, "/usr", "/boot", "/efi", "/etc")
	case "strict":
		add("protect_system", keeper.ReadOnly, "/")
		add("protect_system", keeper.AsItIs, "/proc", "/sys")
		if !s.PrivateDevices {
			add("protect_system", keeper.AsItIs, "/dev")
		}
	default:
		panic("internal error: protect_system " + s.ProtectSystem)
	}
	switch s.ProtectHome {
	case "no":
	case "yes":
		add("protect_home", keeper.Hidden, "/home", "/root", "/run/user")
	case "read-only":
		add("protect_home", keeper.ReadOnly, "/home", "/root", "/run/user")
	case "tmpfs":
		add("protect_home", keeper.Empty, "/home", "/root", "/run/user")
	default:
		panic("internal error: protect_home " + s.ProtectHome)
	}
	if s.PrivateTmp {
		add("private_tmp", keeper.Scratch, "/tmp", "/var/tmp")
	}
	if s.PrivateDevices {
		add("private_devices", keeper.FewDevices, "/dev")
	}
	if s.ProtectKernelTunables {
		add("protect_kernel_tunables", keeper.ReadOnly, "/sys", "/proc/sys", "/proc/sysrq-trigger", "/proc/latency_stats",
			"/proc/mtrr", "/proc/acpi", "/proc/fs", "/proc/irq", "/proc/bus")
		add("protect_kernel_tunables", keeper.Hidden, "/proc/kallsyms", "/proc/kcore")
	}
	switch {
	case s.ProtectControlGroups:
		add("protect_control_groups", keeper.ReadOnly, "/sys/fs/cgroup")
	case s.ProtectKernelTunables:
		add("protect_control_groups", keeper.AsItIs, "/sys/fs/cgroup")
	}
	for _, list := range s.lists() {
		for _, p := range list.paths {
			path, optional := strings.CutPrefix(p, "-")
			out = append(out, keeper.Place{Path: filepath.Clean(path), As: list.as, Optional: optional, Because: "sandbox." + list.field})
		}
	}
	return out
}

func (s *Sandbox) filter() ([]byte, error) {
	if s.Seccomp == "none" {
		return nil, nil
	}
	profile := seccomp.Default()
	if s.Seccomp != "default" {
		var err error
		if profile, err = seccomp.Read(s.Seccomp); err != nil {
			return nil, err
		}
	}
	var kept []string
	for _, name := range s.Capabilities {
		if n, known := capability(name); known {
			kept = append(kept, "CAP_"+capabilities[n])
		}
	}
	host, err := seccomp.Here(kept)
	if err != nil {
		return nil, err
	}
	code, err := profile.Compile(host)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 8*len(code))
	for _, c := range code {
		out = binary.NativeEndian.AppendUint16(out, c.Op)
		out = binary.NativeEndian.AppendUint32(append(out, c.Jt, c.Jf), c.K)
	}
	return out, nil
}

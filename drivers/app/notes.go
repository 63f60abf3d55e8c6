package app

import (
	"fmt"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// Notes implements spec.Noter: what is left open, and no mistake.
func (c *Program) Notes() []spec.Problem {
	var out problems
	switch {
	case c.Sandbox != nil:
	case c.root():
		out.add("sandbox", "Runs with every right of root", "It can write every file, end every process and change the kernel. Write sandbox {} and, if it can do with less, user = \"…\"; then add what it needs, such as read_write_paths.")
	default:
		out.add("sandbox", "No sandbox", "It can read and write whatever its user may. Write sandbox {}, then add what it needs, such as read_write_paths.")
	}
	for _, name := range names(c.Env) {
		if len(spec.SecretsIn(c.Env[name])) > 0 {
			out.add("env", "Secret in an environment", "%s can be read by every process of the same user (ps e), by what the program starts, and in crash dumps. A file is safer: credentials = { %s = … }, read from the folder in CREDENTIALS_DIRECTORY.", name, strings.ToLower(name))
		}
	}
	return out
}

func (c *Program) root() bool { return c.User == "" || c.User == "root" || c.User == "0" }

// mighty are the capabilities that are worth as much as root, or nearly.
var mighty = map[string]string{
	"SYS_ADMIN": "mounts, and most of what root may", "SYS_MODULE": "code in the kernel", "SYS_RAWIO": "memory and devices",
	"SYS_PTRACE": "every other process", "DAC_OVERRIDE": "every file, where file systems are writable", "DAC_READ_SEARCH": "reading every file",
	"BPF": "programs in the kernel", "SETUID": "becoming every user", "CHOWN": "taking every file", "MKNOD": "every device", "SYS_BOOT": "a restart of the host",
}

// Notes implements spec.Noter.
func (s *Sandbox) Notes() []spec.Problem {
	var out problems
	if !s.PrivateTmp {
		out.add("private_tmp", "Shared /tmp", "What others put into /tmp can be read by it, and the other way round.")
	}
	switch s.ProtectSystem {
	case "no":
		out.add("protect_system", "The system can be written", "Its user's rights alone keep it from changing programs and configurations. Write \"strict\", and what it must write into read_write_paths.")
	case "yes", "full":
		out.add("protect_system", "Part of the system can be written", "Only /usr, /boot%s are protected. Write \"strict\", and what it must write into read_write_paths.", map[string]string{"full": " and /etc"}[s.ProtectSystem])
	}
	if s.ProtectHome == "no" || s.ProtectHome == "read-only" {
		out.add("protect_home", "Homes can be read", "It sees /home and /root, with the keys in them, as far as its user may. Write \"yes\" or \"tmpfs\".")
	}
	if !s.PrivateDevices {
		out.add("private_devices", "Devices can be opened", "It sees every device of the host. Leave it out where the program needs none.")
	}
	if !s.ProtectKernelTunables {
		out.add("protect_kernel_tunables", "Settings of the kernel can be written", "Root can change them in /proc/sys and /sys, and through some be more than this app.")
	}
	if !s.ProtectControlGroups {
		out.add("protect_control_groups", "Control groups can be written", "Root can lift its own limits there, and stop others.")
	}
	if s.Seccomp == "none" {
		out.add("seccomp", "Every system call is allowed", "Mistakes of the kernel in rarely used calls are open to it. Write \"default\", or a profile of its own.")
		if !s.NoNewPrivileges {
			out.add("no_new_privileges", "New privileges are possible", "By programs such as sudo it can become more than its user.")
		}
	}
	for _, name := range s.Capabilities {
		if n, known := capability(name); known && mighty[capabilities[n]] != "" {
			out.add("capabilities", "A mighty capability", "%s", fmt.Sprintf("CAP_%s gives %s.", capabilities[n], mighty[capabilities[n]]))
		}
	}
	return out
}

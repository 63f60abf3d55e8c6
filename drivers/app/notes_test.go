package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

func TestWhatIsLeftOpenIsNoted(t *testing.T) {
	fields := func(n spec.Noter) (out []string) {
		for _, p := range n.Notes() {
			if p.Summary == "" || !strings.HasSuffix(p.Detail, ".") {
				t.Errorf("%+v", p)
			}
			out = append(out, p.Field)
		}
		return out
	}
	plain := config("true")
	if n := plain.Notes(); len(n) != 1 || n[0].Summary != "Runs with every right of root" {
		t.Errorf("of a plain app of root: %+v", n)
	}
	plain.User = "www"
	if n := plain.Notes(); len(n) != 1 || n[0].Summary != "No sandbox" {
		t.Errorf("of a plain app: %+v", n)
	}
	if n := fields(&TaskConfig{Program: program("true")}); len(n) != 1 {
		t.Errorf("of a task: %v", n)
	}
	plain.Sandbox = sandbox()
	if n := slices.Concat(fields(plain), fields(plain.Sandbox)); len(n) > 0 {
		t.Errorf("of an app in a sandbox with its defaults: %v", n)
	}
	open := &Sandbox{ProtectSystem: "no", ProtectHome: "no", Seccomp: "none", Capabilities: []string{"CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE"}}
	want := []string{"private_tmp", "protect_system", "protect_home", "private_devices", "protect_kernel_tunables", "protect_control_groups", "seccomp", "no_new_privileges", "capabilities"}
	if got := fields(open); !slices.Equal(got, want) {
		t.Errorf("of an open sandbox: %v, want %v", got, want)
	}
}

func TestAMistakeInASandboxNamesItsArgument(t *testing.T) {
	for field, change := range map[string]func(*Sandbox){
		"read_only_paths":    func(s *Sandbox) { s.ReadOnlyPaths = []string{"srv"} },
		"read_write_paths":   func(s *Sandbox) { s.ReadWritePaths = []string{"/"} },
		"inaccessible_paths": func(s *Sandbox) { s.InaccessiblePaths = []string{"-srv"} },
		"temporary_paths":    func(s *Sandbox) { s.TemporaryPaths = []string{""} },
		"capabilities":       func(s *Sandbox) { s.Capabilities = []string{"CAP_NET_BINDSERVICE"} },
		"seccomp":            func(s *Sandbox) { s.Seccomp = "profile.json" },
	} {
		s := sandbox()
		change(s)
		if p := s.Validate(); len(p) != 1 || p[0].Field != field || !strings.HasSuffix(p[0].Detail, ".") {
			t.Errorf("%s: %+v", field, p)
		}
	}
	for field, change := range map[string]func(*Config){
		"credentials": func(c *Config) { c.Credentials = map[string]string{"a/b": "x"} },
		"netns":       func(c *Config) { c.Netns = "a/b" },
	} {
		c := config("true")
		change(c)
		if p := c.Validate(); len(p) != 1 || p[0].Field != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	c := config("true")
	c.Netns, c.Sandbox = "blue", sandbox()
	c.Sandbox.PrivateNetwork = true
	if p := c.Validate(); len(p) != 1 || p[0].Summary != "Two networks" {
		t.Errorf("two networks: %+v", p)
	}
	if p := sandbox().Validate(); len(p) > 0 {
		t.Errorf("the defaults: %+v", p)
	}
}

func TestTheDefaultsOfTheLanguageAreTheSafeOnes(t *testing.T) {
	var r drivers.Registry
	Register(&r, nil)
	for _, kind := range []string{"app", "task"} {
		for _, b := range r.Resource(kind).Blocks {
			got := map[string]string{}
			for _, f := range b.Schema.Fields {
				got[f.Name] = f.Default
			}
			for name, want := range map[string]string{
				"private_tmp": "true", "protect_system": "strict", "protect_home": "yes", "private_devices": "true", "protect_kernel_tunables": "true",
				"protect_control_groups": "true", "no_new_privileges": "true", "capabilities": "", "seccomp": "default", "private_network": "false",
			} {
				if got[name] != want {
					t.Errorf("%s: %s is %q, not %q", kind, name, got[name], want)
				}
			}
		}
	}
}

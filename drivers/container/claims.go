package container

import (
	"fmt"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer: the name, and the ports of the host. A container with
// the host's network may listen anywhere, and says nothing of it.
func (c *Config) Claims() (out []spec.Claim) {
	name := c.Name
	if name == "" && c.address != "" { // dashes join its parts, so that others may come to the same
		name = defaultName(c.address)
	}
	if name != "" {
		out = append(out, spec.Claim{Sort: spec.ClaimName, Value: "container " + name, Field: "name", Domain: c.engine()})
	}
	for i, text := range c.Ports {
		p, err := parsePort(text)
		if err != nil || p.binding.HostPort == "" { // the engine chooses
			continue
		}
		address := "*"
		if a := p.binding.HostIP; a.IsValid() && !a.IsUnspecified() {
			address = a.Unmap().String()
		}
		out = append(out, spec.Claim{
			Sort: spec.ClaimPort, Value: fmt.Sprintf("%s/%s:%s", p.inside.Proto(), address, strings.TrimLeft(p.binding.HostPort, "0")),
			Field: fmt.Sprintf("ports.%d", i),
		})
	}
	return out
}

// engine tells apart whose names can't be in each other's way. The default is Docker
// where there is one.
func (c *Config) engine() string {
	switch strings.Replace(strings.TrimPrefix(c.Engine, "unix://"), "/var/run/", "/run/", 1) {
	case "", "docker", dockerSocket:
		return "docker"
	case "podman", podmanSocket:
		return "podman"
	}
	return c.Engine
}

// Paths implements spec.PathUser: those of the host that it is shown. What its command
// says is inside of it.
func (c *Config) Paths() map[string][]string {
	out := make([]string, len(c.Volumes)) // a volume of the engine has no path
	for i, v := range c.Volumes {
		if m, err := parseVolume(v); err == nil && strings.HasPrefix(m.Source, "/") {
			out[i] = m.Source
		}
	}
	return map[string][]string{"volumes": out}
}

package loop

import (
	"path/filepath"

	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer. The device is claimed among loop devices only: a mount
// that says its name is the one that uses it.
func (c *Config) Claims() (out []spec.Claim) {
	if filepath.IsAbs(c.File) {
		out = append(out, spec.Claim{Sort: spec.ClaimFile, Value: filepath.Clean(c.File), Field: "file", Shared: c.ReadOnly})
	}
	if c.Device != "" {
		out = append(out, spec.Claim{Sort: spec.ClaimDevice, Value: c.Device, Field: "device", Domain: "loop devices"})
	}
	return out
}

// Paths implements spec.PathUser.
func (c *Config) Paths() map[string][]string { return map[string][]string{"file": {c.File}} }

package systemd

import "github.com/svcctl/svcctl/spec"

// Claims implements spec.Claimer: a unit is started and stopped by one resource.
func (c *Config) Claims() []spec.Claim {
	if c.Unit == "" {
		return nil
	}
	domain := ""
	if c.Scope == "user" {
		domain = "user " + c.User
	}
	return []spec.Claim{{Sort: spec.ClaimName, Value: "unit " + c.Unit, Field: "unit", Domain: domain}}
}

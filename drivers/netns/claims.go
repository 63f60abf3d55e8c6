package netns

import (
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer: a name is that of one namespace.
func (c *Config) Claims() []spec.Claim {
	if c.Name == "" || strings.HasPrefix(c.Name, "/") {
		return nil
	}
	return []spec.Claim{{Sort: spec.ClaimName, Value: "network namespace " + c.Name, Field: "name"}}
}

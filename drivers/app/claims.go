package app

import "strings"

// Paths implements spec.PathUser. An app claims nothing: where it listens is its own.
func (c *Config) Paths() map[string][]string {
	out := c.Program.paths()
	out["status"], out["stop"] = c.Status, c.Stop
	return out
}

// Paths implements spec.PathUser.
func (c *TaskConfig) Paths() map[string][]string { return c.Program.paths() }

func (c *Program) paths() map[string][]string {
	out := map[string][]string{"command": c.Command, "cwd": {c.Cwd}}
	for name, value := range c.Env {
		out["env."+name] = []string{value}
	}
	s := c.Sandbox
	if s == nil {
		return out
	}
	for _, list := range s.lists() {
		switch list.field {
		case "read_write_paths", "read_only_paths":
			out["sandbox."+list.field] = list.paths
		case "temporary_paths", "inaccessible_paths": // what it does not use
			for field, words := range out {
				out[field] = without(words, list.paths)
			}
		default:
			panic("internal error: a list of paths " + list.field)
		}
	}
	return out
}

// without empties the words that are below one of some paths; the others keep their places.
func without(words, paths []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		for _, p := range paths {
			if p = strings.TrimSuffix(strings.TrimPrefix(p, "-"), "/"); w == p || strings.HasPrefix(w, p+"/") {
				out[i] = ""
			}
		}
	}
	return out
}

package app

import (
	"maps"
	"slices"
	"testing"
)

func TestAProgramUsesThePathsOfItsArguments(t *testing.T) {
	p := Program{
		Command: []string{"/bin/x", "--data=/srv/x"}, Cwd: "/srv/y", Env: map[string]string{"HOME": "/srv/z/below", "OTHER": "/srv/zz"},
		Sandbox: &Sandbox{ReadWritePaths: []string{"/srv/x", "-/srv/w"}, TemporaryPaths: []string{"-/srv/z"}, InaccessiblePaths: []string{"/srv/y/"}},
	}
	app := &Config{Program: p, Stop: []string{"/bin/stop"}}
	want := map[string][]string{
		"command": {"/bin/x", "--data=/srv/x"}, "cwd": {""}, "env.HOME": {""}, "env.OTHER": {"/srv/zz"}, "status": {}, "stop": {"/bin/stop"},
		"sandbox.read_write_paths": {"/srv/x", "-/srv/w"}, "sandbox.read_only_paths": {},
	}
	if got := app.Paths(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("an app uses %q, want %q", got, want)
	}
	delete(want, "status")
	delete(want, "stop")
	if got := (&TaskConfig{Program: p}).Paths(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("a task uses %q, want %q", got, want)
	}
	p.Sandbox = nil
	if got := (&TaskConfig{Program: p}).Paths(); got["cwd"][0] != "/srv/y" || got["env.HOME"][0] != "/srv/z/below" || len(got) != 4 {
		t.Errorf("without a sandbox it uses %q", got)
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
)

const asProgram = "SVCCTL_TEST_AS_PROGRAM"

// The binary of the tests is the program where a script calls it: programInPath sees to that.
func init() {
	if os.Getenv(asProgram) != "" {
		main()
	}
}

// bin is the folder with the programs as they are shipped, once they are built. All users
// may enter it.
var bin string

var built = sync.OnceValue(func() (err error) {
	if bin, err = os.MkdirTemp("", "svcctl-built"); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/svcctl", "./cmd/svcctl-keeper")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.Chmod(bin, 0o755)
})

func buildPrograms(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return bin
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(bin) // "" is nothing
	os.Exit(code)
}

// programInPath returns a folder with a command svcctl, for scripts to find.
func programInPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "svcctl"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asProgram, self), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

const mistaken = "service \"b\" {\n  ap \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n"

func TestColoursAreForTerminalsOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	write(t, file, mistaken)
	program := filepath.Join(programInPath(t), "svcctl")
	run := func(terminal bool, env ...string) string {
		c := exec.Command(program, "validate", file)
		c.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, env...)...)
		if !terminal {
			out, _ := c.Output() // it ends with 1: there is a mistake
			return string(out)
		}
		return onTerminal(t, c)
	}
	for _, step := range []struct {
		terminal, coloured bool
		env                string
	}{{true, true, "A=b"}, {true, false, "NO_COLOR=1"}, {true, false, "TERM=dumb"}, {false, false, "A=b"}, {false, false, "CLICOLOR_FORCE=1"}} {
		out := run(step.terminal, step.env)
		if !strings.Contains(out, "SV0205") || strings.Contains(out, "\x1b") != step.coloured {
			t.Errorf("%+v:\n%q", step, out)
		}
	}
}

// onTerminal runs a command on a terminal that answers nothing, and returns what it wrote.
func onTerminal(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	screen, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	out, _ := io.ReadAll(screen) // ends in an error once the program has ended
	_ = c.Wait()                 // what it ends with is for others to test
	return string(out)
}

// A question to the terminal would be waited for by every command, and for long on a
// serial line, which answers none.
func TestNoCommandButTopAsksTheTerminalAnything(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.hcl")
	write(t, file, strings.ReplaceAll(mistaken, " = ", "="))
	path := filepath.Join(programInPath(t), "svcctl")
	lines := [][]string{
		{"version"}, {"--help"}, {"validate", file}, {"explain", "SV0205"}, {"fmt", "--diff", file}, {"schema"},
		{"--server", "unix://" + filepath.Join(dir, "none.sock"), "status"},
		{"--server", "unix://" + filepath.Join(dir, "none.sock"), "top"},
	}
	for _, c := range (&program{streams: &streams{}}).root().Commands() {
		lines = append(lines, []string{c.Name(), "--help"})
	}
	for _, line := range lines {
		c := exec.Command(path, line...)
		c.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=1")
		out := onTerminal(t, c)
		if out == "" || strings.Contains(out, "\x1b") {
			t.Fatalf("svcctl %s:\n%q", strings.Join(line, " "), out)
		}
	}
}

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cut is a disk with room for a few bytes.
type cut struct{ room int }

func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.room)
	if c.room -= n; n < len(p) {
		return n, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	}
	return n, nil
}

func TestAReportThatCouldNotBeWrittenIsAFailureToldOnce(t *testing.T) {
	dir := t.TempDir()
	good, wrong, loose := filepath.Join(dir, "good.hcl"), filepath.Join(dir, "wrong.hcl"), filepath.Join(dir, "loose")
	write(t, good, tidy)
	write(t, wrong, mistaken)
	mkdir(t, loose)
	for _, line := range [][]string{
		{"validate", wrong}, {"validate", "--format", "json", good}, {"validate", "--format", "sarif", good}, {"validate", "--format", "junit", good},
		{"explain"}, {"explain", "SV0104"}, {"explain", "ip", "--json"}, {"schema"}, {"schema", "export", filepath.Join(dir, "schemas")}, {"--help"},
		{"fmt", "-"}, {"fmt", "--diff", loose}, {"fmt", "--check", loose}, {"fmt", loose}, {"plan", "--cold", good},
	} {
		for _, room := range []int{0, 1} {
			write(t, filepath.Join(loose, "a.hcl"), untidy)
			write(t, filepath.Join(loose, "b.hcl"), untidy)
			var stderr strings.Builder
			code := execute(t.Context(), &streams{in: strings.NewReader(untidy), out: &cut{room}, err: &stderr, width: plainWidth}, line)
			if want := "svcctl: cannot write standard output: no space left on device\n"; code != exitFailed || stderr.String() != want {
				t.Errorf("%q, room for %d: exit %d:\n%s", line, room, code, stderr.String())
			}
		}
	}
}

func TestASignalEndsWhoeverWaitsForStandardInput(t *testing.T) {
	for _, line := range [][]string{{"validate", "-"}, {"fmt", "-"}} {
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, filepath.Join(programInPath(t), "svcctl"), line...)
			in, err := c.StdinPipe()
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			// More than a pipe holds: it is reading, once this is written.
			if _, err := io.WriteString(in, strings.Repeat("# a\n", 100<<10)); err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := c.Wait(); !errors.As(err, &exit) || ctx.Err() != nil || exit.Sys().(syscall.WaitStatus).Signal() != sig {
				t.Errorf("%q after %v: %v", line, sig, err)
			}
		}
	}
}

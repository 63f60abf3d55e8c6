package drivers_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/spec"
)

// A whole kind, as CONTRIBUTING.md tells it: a file that says that the service is here.

// flagConfig is its schema: decoding, diagnostics, explain and docs/kinds read the tags.
type flagConfig struct {
	Path string `hcl:"path" export:"true" doc:"The file, an absolute path."`
	Text string `hcl:"text" default:"here" reload:"live" doc:"What it says."`
}

// Validate finds what tags can't say.
func (c *flagConfig) Validate() []spec.Problem {
	if filepath.IsAbs(c.Path) {
		return nil
	}
	return []spec.Problem{{Field: "path", Summary: "path is not absolute", Detail: fmt.Sprintf("%q was given; write it from / on.", c.Path)}}
}

func registerFlag(r *drivers.Registry) {
	drivers.DefineKind(r, "flag", "A file that says that the service is here.",
		func(_ drivers.Opening, c *flagConfig) (drivers.Driver, error) {
			f := &flag{}
			f.config.Store(c)
			return f, nil
		})
}

// flag keeps its configuration behind a pointer: Status may run beside Update.
type flag struct{ config atomic.Pointer[flagConfig] }

// Status asks the file system; nothing is remembered, so that a new agent knows as much.
func (f *flag) Status(ctx context.Context) (drivers.Status, error) {
	c := f.config.Load()
	text, err := os.ReadFile(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return drivers.Status{State: drivers.Down}, nil
	case err != nil:
		return drivers.Status{}, fmt.Errorf("cannot look at %s: %w", c.Path, err)
	case string(text) != c.Text:
		return drivers.Status{State: drivers.Failed, Detail: c.Path + " says something else"}, nil
	}
	return drivers.Status{State: drivers.Up}, nil
}

func (f *flag) Start(ctx context.Context) error { return f.config.Load().write(ctx) }

func (f *flag) Update(ctx context.Context, config any) error {
	next := config.(*flagConfig)
	if err := next.write(ctx); err != nil {
		return err
	}
	f.config.Store(next)
	return nil
}

func (c *flagConfig) write(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.WriteFile(c.Path, []byte(c.Text), 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w (does its folder exist?)", c.Path, err)
	}
	return nil
}

func (f *flag) Stop(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := f.config.Load().Path
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return nil
}

// The promises of every driver hold for it; the suite knows how to try them.
func TestTheKindOfTheGuideKeepsThePromises(t *testing.T) {
	var r drivers.Registry
	registerFlag(&r)
	path := filepath.Join(t.TempDir(), "flag")
	res := &spec.Resource{Address: "demo/flag.here", Kind: "flag", Config: &flagConfig{Path: path, Text: "here"}}
	drivertest.Run(t, drivertest.Harness{
		Open: func(t *testing.T) drivers.Driver {
			d, err := r.Open(drivers.Opening{Address: res.Address}, res)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Fingerprint: func(t *testing.T) string {
			text, _ := os.ReadFile(path) // a missing file is a world too
			return string(text)
		},
		Break: func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		Live: &flagConfig{Path: path, Text: "still here"},
	})
}

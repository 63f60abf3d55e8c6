package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/spec"
)

type fmtOptions struct {
	*program
	paths []string
	check bool
	diff  bool
}

func (p *program) fmtCommand() *cobra.Command {
	o := &fmtOptions{program: p}
	c := &cobra.Command{
		Use: "fmt PATH…", Short: "Rewrite files in the one layout; - is standard input",
		Long: "Rewrite files, and the *.hcl below directories, in the one layout, and name those that changed.\n" +
			"Exit code with --check: 0 nothing to change, 1 something to change.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	c.Flags().BoolVar(&o.check, "check", false, "write nothing; fail if something is to be changed")
	c.Flags().BoolVar(&o.diff, "diff", false, "show what is to be changed, and write nothing")
	return c
}

func (o *fmtOptions) run() error {
	changed := false
	var broken error
	for _, p := range o.paths {
		if p == "-" {
			src, err := io.ReadAll(o.in)
			if err != nil {
				return fmt.Errorf("cannot read standard input: %w", err)
			}
			c, err := o.stream(src)
			if err != nil {
				return err
			}
			changed = changed || c
			continue
		}
		files, err := hclFiles(p)
		if err != nil {
			return err
		}
		for _, file := range files {
			c, err := o.file(file)
			if err != nil {
				broken = errors.Join(broken, err) // the others are formatted all the same
			}
			changed = changed || c
		}
	}
	if broken != nil {
		return broken
	}
	if changed && o.check {
		return findings()
	}
	return nil
}

// stream formats standard input, with --check and --diff as it does a file.
func (o *fmtOptions) stream(src []byte) (changed bool, err error) {
	tidy, ok := spec.Format(src)
	if !ok {
		return false, unformatted("standard input")
	}
	changed = !bytes.Equal(src, tidy)
	switch {
	case o.diff && changed:
		_, err = io.WriteString(o.out, diffLines("standard input", string(src), string(tidy)))
	case o.diff:
	case !o.check:
		_, err = o.out.Write(tidy)
	case changed:
		_, err = fmt.Fprintln(o.out, "standard input")
	}
	return changed, err
}

func unformatted(name string) error {
	return fmt.Errorf("cannot format %s: its syntax is broken (`svcctl validate` says where)", name)
}

// hclFiles returns p itself, or the *.hcl below a directory, dot names left out.
func hclFiles(p string) ([]string, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, usage("cannot read %s: %w (is the path right?)", p, err)
	}
	if !info.IsDir() {
		return []string{p}, nil
	}
	var out []string
	err = filepath.WalkDir(p, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != p && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && strings.HasSuffix(d.Name(), ".hcl"):
			out = append(out, at)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read below %s: %w", p, err)
	}
	return out, nil
}

func (o *fmtOptions) file(name string) (changed bool, err error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return false, fmt.Errorf("cannot format %s: %w", name, err)
	}
	tidy, ok := spec.Format(src)
	if !ok {
		return false, unformatted(name)
	}
	if bytes.Equal(src, tidy) {
		return false, nil
	}
	if o.diff {
		_, err = io.WriteString(o.out, diffLines(name, string(src), string(tidy)))
		return true, err
	}
	if !o.check {
		if err := replaceFile(name, tidy); err != nil {
			return true, fmt.Errorf("cannot format %s: %w", name, err)
		}
	}
	_, err = fmt.Fprintln(o.out, name)
	return true, err
}

// replaceFile renames a new file over the old, with its mode and owner: an agent that
// watches never reads half of it.
func replaceFile(name string, content []byte) (err error) {
	name, err = filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), keepOwner(f, info), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// diffLines shows the lines that differ. The layout never moves a line, it changes
// blanks inside them; so line by line is enough, and the counts may differ at the end.
func diffLines(name, before, after string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	old, tidy := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := 0; i < max(len(old), len(tidy)); {
		if i < len(old) && i < len(tidy) && old[i] == tidy[i] {
			i++
			continue
		}
		from := i
		for i < max(len(old), len(tidy)) && (i >= len(old) || i >= len(tidy) || old[i] != tidy[i]) {
			i++
		}
		was, is := old[min(from, len(old)):min(i, len(old))], tidy[min(from, len(tidy)):min(i, len(tidy))]
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", from+1, len(was), from+1, len(is))
		for _, l := range was {
			b.WriteString("-" + l + "\n")
		}
		for _, l := range is {
			b.WriteString("+" + l + "\n")
		}
	}
	return b.String()
}

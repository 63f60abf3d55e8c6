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
		Long: "Rewrite files, and the *.hcl below directories, in the one layout, and name those that changed. Blanks inside\n" +
			"lines move, and nothing else: lines keep their ends (LF or CRLF); a byte order mark is left out. A linked file is\n" +
			"rewritten where it lies; linked directories and names that begin with a dot are left out.\n" +
			"Exit code: 0 done, or with --check nothing to change; 1 something could not be formatted, or with --check\n" +
			"something to change; 2 usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	c.Flags().BoolVar(&o.check, "check", false, "write nothing; fail if something is to be changed")
	c.Flags().BoolVar(&o.diff, "diff", false, "show what is to be changed, as patch -p0 takes it, and write nothing")
	return c
}

func (o *fmtOptions) run() error {
	changed := false
	var broken error // the others are formatted all the same
	for _, p := range o.paths {
		if p == "-" {
			c, err := o.stream()
			broken, changed = errors.Join(broken, err), changed || c
			continue
		}
		files, err := hclFiles(p)
		var e *exitError
		if errors.As(err, &e) {
			return err
		}
		broken = errors.Join(broken, err)
		for _, file := range files {
			c, err := o.file(file)
			broken, changed = errors.Join(broken, err), changed || c
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

// hclFiles returns p itself, or the *.hcl below a directory, dot names left out.
func hclFiles(p string) (files []string, unread error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, usage("cannot read %s: %w (is the path right?)", p, cause(err))
	}
	if !info.IsDir() {
		return []string{p}, nil
	}
	if at, err := filepath.EvalSymlinks(p); err == nil && at != filepath.Clean(p) {
		p += string(filepath.Separator) // a link that was named is meant
	}
	err = filepath.WalkDir(p, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			unread = errors.Join(unread, fmt.Errorf("cannot format what is below %s: %w", at, err))
		case at != p && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type()&fs.ModeSymlink != 0:
			if to, err := os.Stat(at); err == nil && to.IsDir() {
				return nil
			}
			fallthrough
		case !d.IsDir():
			if strings.HasSuffix(d.Name(), ".hcl") {
				files = append(files, at)
			}
		}
		return nil
	})
	return files, errors.Join(unread, err)
}

// stream formats standard input, with --check and --diff as it does a file.
func (o *fmtOptions) stream() (changed bool, err error) {
	const name = "standard input"
	src, err := o.readInput(spec.MaxFormat + 1)
	if err != nil {
		return false, fmt.Errorf("cannot format %s: %w", name, err)
	}
	tidy, err := spec.Format(src)
	if err != nil {
		return false, fmt.Errorf("cannot format %s: %w", name, err)
	}
	changed = !bytes.Equal(src, tidy)
	switch {
	case o.diff && changed:
		fmt.Fprint(o.out, unifiedDiff(name, src, tidy))
	case o.diff:
	case !o.check:
		fmt.Fprintf(o.out, "%s", tidy)
	case changed:
		fmt.Fprintln(o.out, name)
	}
	return changed, nil
}

func (o *fmtOptions) file(name string) (changed bool, err error) {
	src, err := readSource(name)
	if err != nil {
		return false, fmt.Errorf("cannot format %s: %w", name, err)
	}
	tidy, err := spec.Format(src)
	if err != nil {
		return false, fmt.Errorf("cannot format %s: %w", name, err)
	}
	if bytes.Equal(src, tidy) {
		return false, nil
	}
	if o.diff {
		fmt.Fprint(o.out, unifiedDiff(name, src, tidy))
		return true, nil
	}
	if !o.check {
		if err := replaceFile(name, tidy); err != nil {
			return true, fmt.Errorf("cannot format %s: %w", name, err)
		}
	}
	fmt.Fprintln(o.out, name)
	return true, nil
}

// readSource reads a file, unless reading it could wait for somebody, or has no end.
func readSource(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file (use - for standard input)")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, spec.MaxFormat+1)) // one byte more, so that it is refused
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

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/spec"
)

type validateOptions struct {
	*program
	paths  []string
	format string
	node   string
	notes  bool
}

// formats are those that findings are written in: for people, programs, code scanning,
// test reports, and the runners of GitHub.
var formats = []string{"text", "json", "sarif", "junit", "github"}

func (p *program) validateCommand() *cobra.Command {
	o := &validateOptions{program: p}
	c := &cobra.Command{
		Use: "validate PATH…", Short: "Look for mistakes in files, or in directories of files",
		Long: "Look for mistakes in files, or in directories of files. Needs neither an agent nor root.\n" +
			"Nothing but findings on standard output. Exit code: 0 no error, 1 errors, 2 usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	c.Flags().StringVar(&o.format, "format", "text", strings.Join(formats, ", "))
	c.Flags().StringVar(&o.node, "node", "", "evaluate as for this node; by default node.* is not known")
	c.Flags().BoolVar(&o.notes, "notes", false, "write also what is no mistake: what a kind leaves open, passwords in files (other formats than text always have it)")
	return c
}

func (o *validateOptions) run() error {
	if !slices.Contains(formats, o.format) {
		return usage("cannot write the format %q (use %s)", o.format, strings.Join(formats, ", "))
	}
	all := spec.Findings{}
	for _, p := range o.paths {
		_, found, err := loadPath(p, o.node, true)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	switch o.format {
	case "text":
		if !o.notes {
			all = all.WithoutNotes()
		}
		all.WriteText(o.out, o.colour)
	case "json":
		all.WriteJSON(o.out)
	case "sarif":
		all.WriteSARIF(o.out, version())
	case "junit":
		all.WriteJUnit(o.out)
	case "github":
		all.WriteGitHub(o.out)
	default:
		panic("internal error: format " + o.format)
	}
	if all.HasErrors() {
		return findings()
	}
	return nil
}

// loadPath reads the set of a directory, or of one file. Its findings name files as
// the user can open them.
func loadPath(p, node string, notes bool) (*spec.Spec, spec.Findings, error) {
	collectLess()
	fsys, root, err := setOf(p)
	if err != nil {
		return nil, nil, err
	}
	loader := spec.NewLoader(spec.Options{Kinds: newKinds(nil), Node: spec.Node{Name: node}, Notes: notes})
	s, found := loader.Load(fsys)
	for i := range found {
		if found[i].File != "" {
			found[i].File = filepath.Join(root, found[i].File)
			found[i].Range.Filename = found[i].File
		} else {
			found[i].File = p
		}
	}
	return s, found, nil
}

// setOf returns the files of a path and the directory that they are below.
func setOf(p string) (fs.FS, string, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, "", usage("cannot read %s: %w (is the path right?)", p, err)
	}
	if info.IsDir() {
		return os.DirFS(p), p, nil
	}
	root, name := filepath.Split(p)
	if root == "" {
		root = "."
	}
	return oneFile{os.DirFS(root), name}, root, nil
}

// oneFile is a directory that shows one file of another. The rest can still be
// opened by name, for file("…") in an expression.
type oneFile struct {
	fs.FS
	name string
}

// ReadDir implements fs.ReadDirFS.
func (f oneFile) ReadDir(name string) ([]fs.DirEntry, error) {
	if path.Clean(name) != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	info, err := fs.Stat(f.FS, f.name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", f.name, err)
	}
	return []fs.DirEntry{fs.FileInfoToDirEntry(info)}, nil
}

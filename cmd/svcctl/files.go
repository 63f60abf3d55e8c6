package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/svcctl/svcctl/spec"
)

// maxSet bounds the files that one command sends.
const maxSet = 32 << 20

// readSet reads the files of a set: those that declare, and those that file("…")
// includes. Mistakes in them are the agent's to tell, which knows its node.
func readSet(p string) (map[string][]byte, error) {
	fsys, _, err := setOf(p)
	if err != nil {
		return nil, err
	}
	loader := spec.NewLoader(spec.Options{Kinds: newKinds(nil)})
	loader.Load(fsys)
	files := make(map[string][]byte)
	size := 0
	for name := range loader.Files() {
		content, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // named by file("…") and missing: a finding
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s in %s: %w", name, p, err)
		}
		files[name] = content
		if size += len(content); size > maxSet {
			return nil, fmt.Errorf("cannot send %s: it has more than %d MiB of files", p, maxSet>>20)
		}
	}
	if len(files) == 0 {
		return nil, usage("cannot send %s: there is no *.hcl file in it", p)
	}
	return files, nil
}

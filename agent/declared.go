package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

const (
	maxConfigSize  = 1 << 20 // of an agent's configuration
	maxConfigFiles = 20_000
)

// DeclaredNode is a node as its agent's configuration describes it.
type DeclaredNode struct {
	spec.Node
	Path string // of the configuration
}

// DeclaredNodes reads the nodes that the agents' configurations below a folder describe,
// in the order of their paths. Other files may lie there too.
func DeclaredNodes(folder string) ([]DeclaredNode, error) {
	var out []DeclaredNode
	files := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != folder && strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || !strings.HasSuffix(d.Name(), ".hcl"):
			return nil
		}
		if files++; files > maxConfigFiles {
			return fmt.Errorf("there are more than %d files: name the folder of the agents' configurations alone", maxConfigFiles)
		}
		n, is, err := declaredNode(path)
		if is {
			out = append(out, n)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the nodes in %s: %w", folder, err)
	}
	return out, nil
}

// declaredNode reads what a file says of its node, if it is an agent's configuration.
func declaredNode(path string) (n DeclaredNode, is bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) { // a link that leads nowhere
		return n, false, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxConfigSize {
		return n, false, err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return n, false, err
	}
	file, diags := parseText(path, src)
	body, parsed := file.Body.(*hclsyntax.Body)
	if !parsed {
		body = &hclsyntax.Body{}
	}
	if !isConfig(path, body) {
		return n, false, nil
	}
	c := DefaultConfig()
	c.Node.Name = ""
	if !diags.HasErrors() {
		// What else is in it may be true on that node only, as what env() reads.
		named := &hclsyntax.Body{Blocks: slices.DeleteFunc(slices.Clone(body.Blocks), func(b *hclsyntax.Block) bool {
			return b.Type != "node" && b.Type != "cluster"
		})}
		r := configReader{blocks: c.blocks(""), seen: map[string]hcl.Range{}}
		r.body(named)
		diags = r.diags
	}
	if diags.HasErrors() {
		return n, false, &ConfigError{Diagnostics: diags, Files: map[string]*hcl.File{path: file}}
	}
	if c.Node.Name == "" {
		return n, false, fmt.Errorf("%s names no node: write node { name = \"…\" } into it", path)
	}
	return DeclaredNode{spec.Node{Name: c.Node.Name, Labels: c.Node.Labels, Cluster: c.Cluster.Name}, path}, true, nil
}

// isConfig says whether a file is an agent's configuration, by its name or by the blocks
// that no other file has.
func isConfig(path string, body *hclsyntax.Body) bool {
	return filepath.Base(path) == "agent.hcl" || slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool {
		return b.Type == "node" || b.Type == "services" || b.Type == "state"
	})
}

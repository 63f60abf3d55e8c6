package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

// What is right is read in silence: for no node, for one, and for all nodes of a cluster.
// A finding here would block what somebody runs.
func TestNothingIsFoundInSetsThatAreRight(t *testing.T) {
	sets, err := fs.Glob(os.DirFS("testdata/right"), "*")
	if err != nil || len(sets) < 25 {
		t.Fatalf("%d sets: %v", len(sets), err)
	}
	one := spec.Node{Name: "n1", Labels: map[string]string{}, Cluster: "default"}
	var cluster []spec.Node
	for _, name := range []string{"n1", "n2", "n3"} {
		cluster = append(cluster, spec.Node{Name: name, Labels: map[string]string{"site": "paris"}, Cluster: "prod"})
	}
	for _, set := range sets {
		for where, o := range map[string]spec.Options{
			"no node": {}, "one node": {Node: one}, "a cluster": {Nodes: cluster}, "an agent": {Node: one, Nodes: []spec.Node{one}},
		} {
			if where == "an agent" && strings.Contains(readAll(t, set), "nodes ") {
				continue // it names nodes that a cluster of one has not
			}
			target, err := (&streams{}).target(filepath.Join("testdata/right", set))
			if err != nil {
				t.Fatal(err)
			}
			o.Kinds = newKinds(nil)
			if _, found, _ := target.load(o); len(found) > 0 {
				var text strings.Builder
				found.WriteText(&text, false)
				t.Errorf("%s for %s:\n%s", set, where, text.String())
			}
		}
	}
}

func readAll(t *testing.T, set string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join("testdata/right", set), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

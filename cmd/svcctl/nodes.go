package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/svcctl/svcctl/agent"
	"github.com/svcctl/svcctl/spec"
)

// maxNodes is what spec reads a set for.
const maxNodes = 1000

// declaredNodes lists the nodes that a folder of agents' configurations and the values
// of --node describe. Each is there once, and all are of one cluster.
func declaredNodes(folder string, given []string) ([]spec.Node, error) {
	var all []agent.DeclaredNode
	if folder != "" {
		if _, err := os.Stat(folder); err != nil {
			return nil, usage("cannot read the nodes in %s: %w (is the path right?)", folder, err)
		}
		found, err := agent.DeclaredNodes(folder)
		if err != nil {
			return nil, usage("%w", err)
		}
		if len(found) == 0 {
			return nil, usage("cannot find a node in %s: no file below it is an agent's configuration, with node { name = \"…\" }", folder)
		}
		all = found
	}
	for _, text := range given {
		n, err := parseNode(text)
		if err != nil {
			return nil, usage("cannot read --node %s: %w", text, err)
		}
		all = append(all, agent.DeclaredNode{Node: n, Path: "--node " + text})
	}
	if len(all) > maxNodes {
		return nil, usage("cannot look at %d nodes: %d are the most (name the folder of one cluster)", len(all), maxNodes)
	}
	return oneCluster(all)
}

// oneCluster refuses nodes that can't be in one cluster together. Who does not say in
// which one it is, is in that of the others.
func oneCluster(all []agent.DeclaredNode) ([]spec.Node, error) {
	byName := map[string]agent.DeclaredNode{}
	var first agent.DeclaredNode // that names a cluster
	for _, n := range all {
		if other, twice := byName[n.Name]; twice {
			return nil, usage("cannot tell the nodes apart: %s and %s both name %q (remove one)", other.Path, n.Path, n.Name)
		}
		byName[n.Name] = n
		switch {
		case n.Cluster == "":
		case first.Cluster == "":
			first = n
		case n.Cluster != first.Cluster:
			return nil, usage("cannot look at two clusters in one run: %s is in %q, and %s in %q (name the folder of one cluster)", first.Path, first.Cluster, n.Path, n.Cluster)
		}
	}
	nodes := make([]spec.Node, len(all))
	for i, n := range all {
		nodes[i] = n.Node
		nodes[i].Cluster = first.Cluster
	}
	return nodes, nil
}

// parseNode reads n1, of whose labels nothing is known, or name=n1,label=site=paris,label=rack=2.
func parseNode(text string) (spec.Node, error) {
	if !strings.Contains(text, "=") {
		return spec.Node{Name: text}, checkNodeName(text)
	}
	n := spec.Node{Labels: map[string]string{}}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "name", "cluster":
			if err := checkNodeName(value); err != nil {
				return n, err
			}
			to := &n.Name
			if key == "cluster" {
				to = &n.Cluster
			}
			if *to != "" {
				return n, fmt.Errorf("%s is written twice", key)
			}
			*to = value
		case "label":
			name, value, has := strings.Cut(value, "=")
			if _, twice := n.Labels[name]; twice || !has || checkNodeName(name) != nil {
				return n, fmt.Errorf("%q is no label, or is there twice: write label=site=paris", part)
			}
			n.Labels[name] = value
		default:
			return n, fmt.Errorf("%q is none of name=…, cluster=… and label=KEY=VALUE (a value holds no comma)", part)
		}
	}
	if n.Name == "" {
		return n, fmt.Errorf("it has no name: write name=n1 before the labels")
	}
	return n, nil
}

func checkNodeName(s string) error {
	if first, _, list := strings.Cut(s, ","); list && agent.ValidNodeName(first) {
		return fmt.Errorf("%q is a list: write --node once for each", s)
	}
	if !agent.ValidNodeName(s) {
		return fmt.Errorf("%q is not a name: write at most 63 letters, digits, -, _ and dots", s)
	}
	return nil
}

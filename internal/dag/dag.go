// Package dag orders things that wait for each other.
package dag

import (
	"cmp"
	"slices"
)

// Graph holds nodes and the edges "k comes after a". Its answers are always in
// the same order, whatever the order of the calls that built it. The zero value
// is an empty graph. Not safe for concurrent use.
type Graph[K cmp.Ordered] struct {
	after map[K][]K
}

// Add puts k into the graph, and an edge to each node that it comes after. A node
// that is only named in after is in the graph too.
func (g *Graph[K]) Add(k K, after ...K) {
	if g.after == nil {
		g.after = make(map[K][]K)
	}
	edges := g.after[k]
	for _, a := range after {
		if i, found := slices.BinarySearch(edges, a); !found {
			edges = slices.Insert(edges, i, a)
		}
		if _, known := g.after[a]; !known {
			g.after[a] = nil
		}
	}
	g.after[k] = edges
}

// Nodes returns all nodes, sorted.
func (g *Graph[K]) Nodes() []K {
	nodes := make([]K, 0, len(g.after))
	for k := range g.after {
		nodes = append(nodes, k)
	}
	slices.Sort(nodes)
	return nodes
}

// After returns what k comes directly after, sorted. The caller must not change it.
func (g *Graph[K]) After(k K) []K { return g.after[k] }

// Dependents returns the nodes that come directly after k, sorted.
func (g *Graph[K]) Dependents(k K) []K {
	var out []K
	for _, n := range g.Nodes() {
		if _, found := slices.BinarySearch(g.after[n], k); found {
			out = append(out, n)
		}
	}
	return out
}

// Waves groups the nodes so that each comes after nodes of earlier waves only.
// left holds the nodes that are on a cycle or come after one.
func (g *Graph[K]) Waves() (waves [][]K, left []K) {
	waiting := make(map[K]int, len(g.after))
	dependents := make(map[K][]K, len(g.after))
	nodes := g.Nodes()
	var ready []K
	for _, k := range nodes {
		waiting[k] = len(g.after[k])
		if waiting[k] == 0 {
			ready = append(ready, k)
		}
		for _, a := range g.after[k] {
			dependents[a] = append(dependents[a], k)
		}
	}
	done := 0
	for len(ready) > 0 {
		waves = append(waves, ready)
		done += len(ready)
		var next []K
		for _, k := range ready {
			for _, d := range dependents[k] {
				if waiting[d]--; waiting[d] == 0 {
					next = append(next, d)
				}
			}
		}
		slices.Sort(next)
		ready = next
	}
	if done < len(nodes) {
		for _, k := range nodes {
			if waiting[k] > 0 {
				left = append(left, k)
			}
		}
	}
	return waves, left
}

// Cycle returns one loop as a path in which each node comes after the next one
// and the last comes after the first; nil where there is none.
func (g *Graph[K]) Cycle() []K {
	const (
		unseen = iota
		open
		closed
	)
	state := make(map[K]int, len(g.after))
	type frame struct {
		node K
		next int
	}
	for _, root := range g.Nodes() {
		if state[root] != unseen {
			continue
		}
		stack := []frame{{node: root}}
		state[root] = open
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			edges := g.after[top.node]
			if top.next == len(edges) {
				state[top.node] = closed
				stack = stack[:len(stack)-1]
				continue
			}
			a := edges[top.next]
			top.next++
			switch state[a] {
			case unseen:
				state[a] = open
				stack = append(stack, frame{node: a})
			case open:
				from := slices.IndexFunc(stack, func(f frame) bool { return f.node == a })
				loop := make([]K, 0, len(stack)-from)
				for _, f := range stack[from:] {
					loop = append(loop, f.node)
				}
				return loop
			}
		}
	}
	return nil
}

package spec

import (
	"fmt"
	"slices"
	"strings"
)

// standing is what other services may have to know of a service, as far as it is certain.
type standing struct {
	nodes  []string // its candidates; nil: every node, or not known
	one    bool     // it has one active instance
	manual bool     // it is started by hand only
	auto   bool     // it starts by itself
	idle   bool     // nothing of it is ever started
}

// standingOf leaves out what is mistaken, or not known yet.
func standingOf(s *Service, args *part) (out standing) {
	if n := len(s.Nodes); n > 0 && n <= maxCandidates && !args.missing("nodes") {
		out.nodes = s.Nodes
	}
	out.one = s.Topology == Failover && !args.missing("topology")
	if !args.missing("orchestrate") {
		out.manual, out.auto = s.Orchestrate == Manual, s.Orchestrate != Manual
	}
	return out
}

// idle says whether it is certain that nothing of the service is ever started. What has
// for_each may have instances again tomorrow.
func (s *serviceDraft) idle() bool {
	return !s.broken && !slices.ContainsFunc(s.resources, func(d *resourceDraft) bool {
		return len(d.keys) == 0 || slices.ContainsFunc(d.keys, func(key string) bool {
			_, off := d.off[key]
			return !off
		})
	})
}

// relations are the services of a set and what they say of each other.
type relations struct {
	*run
	known map[string]*declaration
	told  map[[2]string]bool // pairs, the lesser name first, of which something was said
	with  map[[2]string]mention
	group map[string]*together // of services that share a node, through others too
	near  map[string][]mention // what joined them, by both names
}

// together are services that have to share a node.
type together struct {
	joined  *together // the group that took this one in
	nodes   []string  // the candidates that are left; nil: every node
	because []string  // some of those that leave no more
}

const (
	maxBecause    = 4
	maxCandidates = 256 // longer lists are not compared
)

// checkRelations finds what services want of each other and can't have.
func (r *run) checkRelations() {
	x := &relations{run: r, told: map[[2]string]bool{}, with: map[[2]string]mention{}, group: map[string]*together{}, near: map[string][]mention{}}
	var all []mention
	for _, p := range r.paths {
		for _, m := range r.files[p].mentions {
			if m.from != m.to {
				all = append(all, m)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	x.known = make(map[string]*declaration)
	for _, p := range r.paths {
		for i := range r.files[p].declared {
			if d := &r.files[p].declared[i]; x.known[d.fullName] == nil {
				x.known[d.fullName] = d
			}
		}
	}
	all = slices.DeleteFunc(all, func(m mention) bool { return x.known[m.from] == nil || x.known[m.to] == nil })
	for _, m := range all {
		switch m.argument {
		case "requires":
			x.required(m)
		case "with":
			x.with[[2]string{m.from, m.to}] = m
			x.join(m)
		case "apart":
			if _, both := x.with[[2]string{m.from, m.to}]; both { // SV0224 says so
				x.told[pair(m)] = true
			}
		default:
			panic("internal error: no such argument: " + m.argument)
		}
	}
	for _, m := range all {
		if m.argument == "apart" && !x.told[pair(m)] {
			x.apart(m)
		}
	}
}

func pair(m mention) [2]string { return [2]string{min(m.from, m.to), max(m.from, m.to)} }

// required warns of a service that is not up unless somebody starts it, or that is up
// as soon as it may be, since there is nothing to start.
func (x *relations) required(m mention) {
	from, to := x.known[m.from], x.known[m.to]
	switch {
	case from.idle:
	case to.idle:
		x.report(newFinding(codeNeverMet, m.at, fmt.Sprintf(
			"No resource of it, at %s, is ever started, so that nothing is waited for. Declare what is to come up there, or remove it from requires.", place(to.at)),
			fmt.Sprintf("service %q starts nothing", m.to)))
	case to.manual && from.auto:
		x.report(newFinding(codeNeverMet, m.at, fmt.Sprintf(
			"%s waits until somebody starts it: let it start by itself at %s (orchestrate = \"auto\"), or write orchestrate = \"manual\" here too.", m.from, place(to.at)),
			fmt.Sprintf("service %q is started by hand only", m.to)))
	}
}

func (x *relations) root(name string) *together {
	g := x.group[name]
	if g == nil {
		g = &together{nodes: x.known[name].nodes}
		if g.nodes != nil {
			g.because = []string{name}
		}
		x.group[name] = g
	}
	for g.joined != nil {
		if g.joined.joined != nil {
			g.joined = g.joined.joined // the way is shorter next time
		}
		g = g.joined
	}
	return g
}

// join puts two services on one node. Only of a service with one active instance it is
// certain that what shares a node with it shares one with each other, too.
func (x *relations) join(m mention) {
	from, to := x.known[m.from], x.known[m.to]
	if x.told[pair(m)] {
		return
	}
	if !mayMeet(from.nodes, to.nodes) {
		x.told[pair(m)] = true
		x.report(newFinding(codeNoCommonNode, m.at, fmt.Sprintf(
			"%s may run on %s, %s (%s) on %s: give them a node in common, or remove it from with.",
			m.from, someOf(from.nodes), m.to, place(to.at), someOf(to.nodes)),
			fmt.Sprintf("services %q and %q have no node in common", m.from, m.to)))
		return
	}
	a, b := x.root(m.from), x.root(m.to)
	if !from.one || !to.one || a == b {
		return
	}
	if !mayMeet(a.nodes, b.nodes) {
		x.told[pair(m)] = true
		var lines []string
		for _, name := range slices.Concat(a.because, b.because) {
			lines = append(lines, fmt.Sprintf("%s on %s", name, someOf(x.known[name].nodes)))
		}
		x.report(newFinding(codeNoCommonNode, m.at, fmt.Sprintf(
			"Services that others hold together share it too, and may run so: %s. Give all of them a node in common, or remove this from with.", strings.Join(lines, "; ")),
			fmt.Sprintf("no node is left for %q with %q", m.from, m.to)))
		return
	}
	x.near[m.from], x.near[m.to] = append(x.near[m.from], m), append(x.near[m.to], m)
	a.nodes, b.joined = common(a.nodes, b.nodes), a
	a.because = append(a.because, b.because...)
	a.because = a.because[:min(len(a.because), maxBecause)]
}

// apart finds what can't be apart: what is to share a node, or has one node only.
func (x *relations) apart(m mention) {
	x.told[pair(m)] = true
	from, to := x.known[m.from], x.known[m.to]
	back, direct := x.with[[2]string{m.to, m.from}]
	switch {
	case direct:
		x.report(newFinding(codeNoCommonNode, m.at, fmt.Sprintf("%s is with %s at %s. Remove one of these.", m.to, m.from, place(back.at)), bothWays(m)))
	case from.one && to.one && x.root(m.from) == x.root(m.to):
		x.report(newFinding(codeNoCommonNode, m.at, x.way(m.from, m.to)+" Remove one of these.", bothWays(m)))
	case len(from.nodes) == 1 && slices.Equal(from.nodes, to.nodes) && from.auto && to.auto:
		x.report(newFinding(codeNoCommonNode, m.at, fmt.Sprintf(
			"Both may run on %s only (%s is at %s), so that one of them never starts: give one another node, or remove it from apart.", from.nodes[0], m.to, place(to.at)),
			fmt.Sprintf("services %q and %q are apart on one node", m.from, m.to)))
	}
}

func bothWays(m mention) string {
	return fmt.Sprintf("services %q and %q are to share a node, and to be apart", m.from, m.to)
}

// way tells through which services two share a node. A very long way is not told.
func (x *relations) way(from, to string) string {
	type step struct {
		by     mention
		before string
	}
	seen := map[string]step{from: {}}
	for queue := []string{from}; len(queue) > 0 && len(seen) < 1000; queue = queue[1:] {
		if _, arrived := seen[to]; arrived {
			break
		}
		for _, m := range x.near[queue[0]] {
			next := m.to
			if next == queue[0] {
				next = m.from
			}
			if _, known := seen[next]; !known {
				seen[next] = step{m, queue[0]}
				queue = append(queue, next)
			}
		}
	}
	var lines []string
	for at := to; at != from; at = seen[at].before {
		s, found := seen[at]
		if !found || len(lines) == 10 {
			return "Others hold them together."
		}
		lines = append(lines, fmt.Sprintf("%s is with %s at %s", s.by.from, s.by.to, place(s.by.at)))
	}
	slices.Reverse(lines)
	return strings.Join(lines, "; ") + "."
}

// mayMeet says whether two lists of candidates may have a node in common; nil is every node.
func mayMeet(a, b []string) bool { return a == nil || b == nil || len(common(a, b)) > 0 }

// common are the nodes of both lists, in the order of the first.
func common(a, b []string) []string {
	if a == nil || b == nil {
		return slices.Concat(a, b)
	}
	in := make(map[string]bool, len(b))
	for _, n := range b {
		in[n] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(n string) bool { return !in[n] })
}

// someOf names nodes, not all of them where there are many.
func someOf(nodes []string) string {
	const shown = 5
	if len(nodes) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(nodes[:shown], ", "), len(nodes)-shown)
	}
	return strings.Join(nodes, ", ")
}

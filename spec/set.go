package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/svcctl/svcctl/internal/dag"
)

// checkSet finds what no single file shows: names used twice, services that are
// mentioned and not there, and services that require each other.
func (r *run) checkSet() {
	declared := map[string]hcl.Range{}
	lost := map[string]bool{}
	for _, p := range r.paths {
		for _, name := range r.files[p].lost {
			lost[name] = true
		}
		for _, d := range r.files[p].declared {
			if first, twice := declared[d.fullName]; twice {
				r.report(newFinding(codeTwiceService, d.at, fmt.Sprintf("The first is at %s: give one of them another name or namespace.", place(first)), d.fullName))
				continue
			}
			declared[d.fullName] = d.at
		}
	}
	if len(declared) == 0 && !r.hasErrors() {
		r.report(newFinding(codeNoService, hcl.Range{}, "Files that end in .hcl were looked for, also in folders. Is this the right folder?"))
		return
	}
	var graph dag.Graph[string]
	edges := map[[2]string]hcl.Range{}
	with := map[[2]string]bool{}
	for _, p := range r.paths {
		for _, m := range r.files[p].mentions {
			r.checkMention(m, declared, lost)
			pair := [2]string{m.from, m.to}
			switch m.argument {
			case "requires":
				if m.from != m.to {
					graph.Add(m.from, m.to)
					edges[pair] = m.at
				}
			case "with":
				with[pair] = true
			case "apart":
				if with[pair] {
					r.report(newFinding(codeWithApart, m.at, "Remove it from one of them.", m.to, "with", "apart"))
				}
			}
		}
	}
	r.checkRequireCycles(edges)
	r.checkRelations()
	r.checkClaims(declared, &graph)
}

func (r *run) hasErrors() bool {
	if r.anyBad || Findings(r.findings).HasErrors() {
		return true
	}
	for _, f := range r.files {
		if Findings(f.findings).HasErrors() {
			return true
		}
		for _, d := range f.definitions {
			if Findings(d.findings).HasErrors() {
				return true
			}
		}
	}
	return false
}

// mayDeclare says whether a service that seems missing may be in what can't be read.
func (r *run) mayDeclare(name string) bool {
	if !r.anyBad {
		return false
	}
	if r.unreadable {
		return true
	}
	return slices.ContainsFunc(r.paths, func(p string) bool {
		f := r.files[p]
		return f.broken && (f.torn == nil || f.torn.mayHold(name))
	})
}

func (r *run) checkMention(m mention, declared map[string]hcl.Range, lost map[string]bool) {
	if m.from == m.to {
		r.report(newFinding(codeItself, m.at, "Remove it.", m.from, m.argument))
		return
	}
	name := m.to[strings.LastIndexByte(m.to, '/')+1:]
	if _, ok := declared[m.to]; ok || lost[name] || r.mayDeclare(name) {
		return
	}
	if len(declared) > maxWords {
		r.report(newFinding(codeService, m.at, "Is it in another namespace? A name without namespace means the service's own.", m.to))
		return
	}
	names := slices.Collect(maps.Keys(declared))
	detail := didYouMean(m.to, names)
	_, short, _ := strings.Cut(m.to, "/")
	if short == "" {
		short = m.to
	}
	slices.Sort(names)
	for _, n := range names { // the right name in another namespace is the likelier mistake
		if n == short || strings.HasSuffix(n, "/"+short) {
			if !strings.Contains(n, "/") {
				n = DefaultNamespace + "/" + n
			}
			detail = fmt.Sprintf("Did you mean %q? A name without namespace means the service's own.", n)
			break
		}
	}
	if len(names) > 20 && Nearest(m.to, names) == "" && !strings.HasPrefix(detail, "Did") {
		detail = "No service of the set has a name like it."
	}
	r.report(newFinding(codeService, m.at, detail, m.to))
}

// maxLoopsTold bounds how many loops are looked for: each costs a walk through all edges.
const maxLoopsTold = 50

// checkRequireCycles says which services require each other: of loops that have a
// service in common one.
func (r *run) checkRequireCycles(edges map[[2]string]hcl.Range) {
	told := map[string]bool{}
	for range maxLoopsTold {
		var graph dag.Graph[string]
		for pair := range edges {
			if !told[pair[0]] && !told[pair[1]] {
				graph.Add(pair[0], pair[1])
			}
		}
		loop := graph.Cycle()
		if loop == nil {
			return
		}
		for _, name := range loop {
			told[name] = true
		}
		r.reportRequireCycle(loop, edges)
	}
}

func (r *run) reportRequireCycle(loop []string, edges map[[2]string]hcl.Range) {
	var lines []string
	for i, from := range loop {
		to := loop[(i+1)%len(loop)]
		lines = append(lines, fmt.Sprintf("%s requires %s at %s", from, to, place(edges[[2]string{from, to}])))
	}
	at := edges[[2]string{loop[0], loop[1%len(loop)]}]
	r.report(newFinding(codeRequireCycle, at, strings.Join(lines, "; ")+". Remove one of these.", strings.Join(append(loop, loop[0]), " → ")))
}

package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/svcctl/svcctl/internal/dag"
)

// stake is one claim of the set.
type stake struct {
	of    *holding
	by    *holder
	claim *held
	nodes []string // where it may be up; nil: on every node
}

// claimed is what the set claims, in the order of its files and lines, by key. Most keys
// are claimed once, so that only the others cost more than an index.
type claimed struct {
	single   bool               // the cluster has one node
	requires *dag.Graph[string] // what each service requires
	list     []stake
	first    map[string]int
	more     map[string]*crowd
	looks    int // comparisons of two claims, for a test: they grow with the set, not with its square
}

func newClaimed(n int) *claimed {
	return &claimed{list: make([]stake, 0, n), first: make(map[string]int, n), more: map[string]*crowd{}}
}

// crowd are the entries of one key.
type crowd struct {
	any, exclusive side
	services       map[string]bool
}

// side are entries, by the nodes on which they may be up.
type side struct {
	all   []int
	loose []int // on every node
	on    map[string][]int
}

func (s *side) add(i int, nodes []string) {
	s.all = append(s.all, i)
	if nodes == nil {
		s.loose = append(s.loose, i)
		return
	}
	if s.on == nil {
		s.on = map[string][]int{}
	}
	for _, n := range nodes {
		s.on[n] = append(s.on[n], i)
	}
}

// checkClaims finds what would collide on a node that two services, or two resources of
// one, may share.
func (r *run) checkClaims(declared map[string]hcl.Range, requires *dag.Graph[string]) {
	n := 0
	for _, p := range r.paths {
		for _, h := range r.files[p].holdings {
			for _, by := range h.holders {
				n += len(by.claims)
			}
		}
	}
	all := newClaimed(n)
	all.single, all.requires = len(r.options.Nodes) == 1, requires
	var found []Finding
	for _, p := range r.paths {
		f := r.files[p]
		for i := range f.holdings {
			h := &f.holdings[i]
			if at := declared[h.service]; at.Filename != h.at.Filename || at.End != h.at.End {
				continue // another service of that name comes first
			}
			for j := range h.holders {
				found = all.addHolder(h, &h.holders[j], found)
			}
		}
	}
	for i := range all.list {
		if f, is := all.under(i); is {
			found = append(found, f)
		}
	}
	for _, p := range r.paths {
		f := r.files[p]
		for i := range f.holdings {
			for _, s := range f.holdings[i].strays {
				if all.provides(s.path) {
					continue
				}
				f := newFinding(codeNoMount, s.at, s.detail(), s.path)
				if s.node != "" {
					f.Nodes = []string{s.node}
				}
				found = append(found, f)
			}
		}
	}
	r.reportOnNodes(found)
}

// reportOnNodes reports what was found, once where it was found for several nodes.
func (r *run) reportOnNodes(found []Finding) {
	type saying struct {
		at      hcl.Range
		summary string
	}
	known := map[saying]int{}
	first := len(r.findings)
	for _, f := range found {
		if r.options.Nodes == nil {
			f.Nodes = nil
		}
		s := saying{f.Range, f.Summary}
		i, is := known[s]
		if !is {
			known[s] = len(r.findings)
			r.report(f)
			continue
		}
		if other := &r.findings[i]; other.Nodes == nil || f.Nodes == nil {
			other.Nodes = nil
		} else {
			other.Nodes = append(other.Nodes, f.Nodes...)
		}
	}
	for i := range r.findings[first:] {
		nodes := r.findings[first+i].Nodes
		slices.Sort(nodes)
		r.findings[first+i].Nodes = slices.Compact(nodes)
	}
}

// addHolder compares what an instance claims with all that was claimed before.
func (c *claimed) addHolder(h *holding, by *holder, found []Finding) []Finding {
	nodes := h.nodes
	if by.node != "" {
		nodes = []string{by.node}
	}
	for i := range by.claims {
		e := stake{of: h, by: by, claim: &by.claims[i], nodes: nodes}
		search, insert := e.keys()
		first := -1
		for _, key := range search {
			if key == "" {
				continue
			}
			if j := c.find(key, &e); j >= 0 && (first < 0 || j < first) {
				first = j
			}
		}
		if first >= 0 {
			found = append(found, e.collision(&c.list[first]))
		}
		c.list = append(c.list, e)
		for _, key := range insert {
			if key != "" {
				c.insert(key, len(c.list)-1)
			}
		}
	}
	return found
}

// keys are those under which a stake is looked for, and those under which it is found.
// A port on every address meets all of its number; one of a single address those of that
// address, and those on every address.
func (e *stake) keys() (search, insert [2]string) {
	key := e.claim.key
	if e.claim.sort() != ClaimPort {
		return [2]string{key}, [2]string{key}
	}
	slash, colon := strings.LastIndexByte(key, '/'), strings.LastIndexByte(key, ':')
	if slash < 0 || colon < slash {
		panic(fmt.Sprintf("internal error: %q is no port", e.claim.value()))
	}
	number := key[:slash] + key[colon:]
	if key[slash+1:colon] == "*" {
		return [2]string{number}, [2]string{key, number}
	}
	return [2]string{key, key[:slash] + "/*" + key[colon:]}, [2]string{key, number}
}

func (c *claimed) insert(key string, i int) {
	first, known := c.first[key]
	if !known {
		c.first[key] = i
		return
	}
	m := c.more[key]
	if m == nil {
		m = &crowd{services: map[string]bool{}}
		c.more[key] = m
		m.add(c, first)
	}
	m.add(c, i)
}

func (m *crowd) add(c *claimed, i int) {
	e := &c.list[i]
	m.any.add(i, e.nodes)
	if !e.claim.shared {
		m.exclusive.add(i, e.nodes)
	}
	m.services[e.of.service] = true
}

// find is the first stake under a key that collides with e, or -1.
func (c *claimed) find(key string, e *stake) int {
	first, known := c.first[key]
	if !known {
		return -1
	}
	m := c.more[key]
	if m == nil {
		if other := &c.list[first]; !meet(e.nodes, other.nodes) || e.claim.shared && other.claim.shared || !c.collide(e, other) {
			return -1
		}
		return first
	}
	s := &m.any
	if e.claim.shared {
		s = &m.exclusive
	}
	if e.nodes == nil {
		return c.firstOf(s.all, e)
	}
	best := c.firstOf(s.loose, e)
	for _, n := range e.nodes {
		if i := c.firstOf(s.on[n], e); i >= 0 && (best < 0 || i < best) {
			best = i
		}
	}
	return best
}

// firstOf leaves out what can't collide: the same resource, and what is apart. Of these
// there are no more than the set says.
func (c *claimed) firstOf(list []int, e *stake) int {
	for _, i := range list {
		if c.collide(e, &c.list[i]) {
			return i
		}
	}
	return -1
}

// collide says whether two entries that claim the same belong to two resources that are
// not kept apart.
func (c *claimed) collide(a, b *stake) bool {
	c.looks++
	if a.of.service == b.of.service {
		return a.by.address != b.by.address
	}
	return !slices.Contains(a.of.apart, b.of.service) && !slices.Contains(b.of.apart, a.of.service)
}

// meet says whether two lists of nodes have one in common; nil is every node.
func meet(a, b []string) bool {
	if a == nil || b == nil {
		return true
	}
	if len(a)*len(b) <= 64 {
		return slices.ContainsFunc(a, func(n string) bool { return slices.Contains(b, n) })
	}
	in := make(map[string]bool, len(b))
	for _, n := range b {
		in[n] = true
	}
	return slices.ContainsFunc(a, func(n string) bool { return in[n] })
}

// concerned are the nodes that a finding about two entries concerns; nil: they are the
// same everywhere.
func concerned(a, b *stake) []string {
	switch {
	case a.by.node != "":
		return []string{a.by.node}
	case b.by.node != "":
		return []string{b.by.node}
	}
	return nil
}

var collisionCodes = map[ClaimSort]string{
	ClaimAddress: codeSameAddress, ClaimPort: codeSamePort, ClaimMount: codeSameMount,
	ClaimDevice: codeSameDevice, ClaimName: codeSameName, ClaimFile: codeSameFile,
}

// collision is what is to be said of a stake and the earlier one that it collides with.
func (e *stake) collision(first *stake) Finding {
	sort := e.claim.sort()
	what := string(sort)
	if sort == ClaimName {
		what = "name"
	}
	detail := fmt.Sprintf("%s has it at %s", first.by.address, place(first.claim.at))
	if v := first.claim.value(); v != e.claim.value() {
		detail = fmt.Sprintf("%s has %s at %s", first.by.address, v, place(first.claim.at))
	}
	manual := false
	switch {
	case e.claim.at == first.claim.at:
		detail = fmt.Sprintf("Instances of for_each claim the same. Make the %s of each.key or each.value, or leave out for_each.", what)
	case e.of.service == first.of.service:
		detail += fmt.Sprintf(", and both are up at once. Give one of them another %s, or remove it.", what)
	case e.of.manual || first.of.manual:
		manual = true
		detail += ", and one of the services is started by hand only: the two can't be up on one node. Write apart where they never should be."
	default:
		detail += fmt.Sprintf(", and both may be up on one node. Give one of them another %s, or keep the services on different nodes by nodes or apart.", what)
	}
	f := newFinding(collisionCodes[sort], e.claim.at, detail, e.claim.value(), first.by.address)
	if manual {
		f.Severity = Warning
	}
	f.Nodes = concerned(e, first)
	return f
}

// under reports a mount below another service's mount.
func (c *claimed) under(i int) (Finding, bool) {
	e := &c.list[i]
	prefix := claimKey(ClaimMount, "", "")
	point, is := strings.CutPrefix(e.claim.key, prefix)
	if !is || point == "/" {
		return Finding{}, false
	}
	parents := upward(point)
	for dir := range parents {
		if dir == point {
			continue
		}
		first, known := c.first[prefix+dir]
		if !known {
			continue
		}
		if m := c.more[prefix+dir]; m != nil {
			if m.services[e.of.service] {
				return Finding{}, false
			}
			first = c.find(prefix+dir, e)
		} else if other := &c.list[first]; other.of.service == e.of.service {
			return Finding{}, false
		} else if !meet(e.nodes, other.nodes) || !c.collide(e, other) {
			continue
		}
		if first < 0 {
			continue
		}
		outer := &c.list[first]
		if c.together(e.of, outer.of) {
			return Finding{}, false
		}
		f := newFinding(codeMountUnder, e.claim.at, fmt.Sprintf(
			"%s is mounted there, at %s. Write requires and with, so that %s starts behind %s and on its node; or mount it elsewhere.",
			outer.by.address, place(outer.claim.at), e.of.service, outer.of.service),
			"mount point "+point, fmt.Sprintf("%s of %s", dir, outer.by.address))
		f.Nodes = concerned(e, outer)
		return f, true
	}
	return Finding{}, false
}

// maxRequired bounds the services that are looked at to see whether one requires another.
const maxRequired = 1000

// together says whether the inner service is up only where the outer one is, and behind it.
func (c *claimed) together(inner, outer *holding) bool {
	beside := c.single || outer.all && (outer.nodes == nil || inner.nodes != nil && !slices.ContainsFunc(inner.nodes, func(n string) bool { return !slices.Contains(outer.nodes, n) }))
	beside = beside || len(inner.nodes) == 1 && len(outer.nodes) == 1
	if !beside && !slices.Contains(inner.with, outer.service) && !slices.Contains(outer.with, inner.service) {
		return false
	}
	seen := map[string]bool{inner.service: true}
	next := []string{inner.service}
	for len(next) > 0 && len(seen) < maxRequired {
		required := c.requires.After(next[len(next)-1])
		next = next[:len(next)-1]
		for _, name := range required {
			if name == outer.service {
				return true
			}
			if !seen[name] {
				seen[name] = true
				next = append(next, name)
			}
		}
	}
	return false
}

// provides says whether a path is on a mount of any service.
func (c *claimed) provides(p string) bool {
	for dir := range upward(p) {
		if _, is := c.first[claimKey(ClaimMount, "", dir)]; is {
			return true
		}
	}
	return false
}

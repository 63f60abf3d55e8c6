package spec

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// holding is what is kept of a service between loads to compare it with all others:
// what its resources claim, and where it may be.
type holding struct {
	service string    // full name
	at      hcl.Range // as that of its declaration
	nodes   []string  // candidates; nil: every node
	manual  bool      // started on command only
	all     bool      // up on every candidate
	with    []string
	apart   []string
	holders []holder // in the order of the text
	strays  []stray
}

// holder is an instance of a resource.
type holder struct {
	address Address
	node    string // whose values these are; "" where they are the same on every node
	claims  []held
}

// held is a claim with the place of the argument that says so.
type held struct {
	key    string // of sort, domain and value
	at     hcl.Range
	shared bool
}

const keySeparator = "\x00"

func claimKey(sort ClaimSort, domain, value string) string {
	return string(sort) + keySeparator + domain + keySeparator + value
}

func (h *held) sort() ClaimSort {
	sort, _, _ := strings.Cut(h.key, keySeparator)
	return ClaimSort(sort)
}

func (h *held) value() string { return h.key[strings.LastIndex(h.key, keySeparator)+1:] }

// claims are those that hold whatever the arguments turn out to be that are mistaken or
// not known yet, as problems are. lost: there may be a mount point among the others.
func (p *part) claims() (found []Claim, lost bool) {
	c, is := p.value.Addr().Interface().(Claimer)
	if !is {
		return nil, false
	}
	found = slices.DeleteFunc(c.Claims(), func(c Claim) bool { return c.Value == "" || p.doubtful(topOf(c.Field)) })
	if p.complete() {
		return found, false
	}
	lasting := func(index []int, values []reflect.Value) {
		for _, value := range values {
			other := reflect.New(p.schema.Type)
			other.Elem().Set(p.value)
			other.Elem().FieldByIndex(index).Set(value)
			now := other.Interface().(Claimer).Claims()
			found = slices.DeleteFunc(found, func(c Claim) bool { return !slices.Contains(now, c) })
		}
	}
	missing := false
	for i := range p.schema.Fields {
		if f := &p.schema.Fields[i]; p.missing(f.Name) {
			missing = true
			values := alternatives(p.value.FieldByIndex(f.Index), f)
			if values[0].Kind() == reflect.Slice { // of the options the one that lets others share
				values = append(values, reflect.ValueOf([]string{"ro"}))
			}
			lasting(f.Index, values)
		}
	}
	for i := range p.schema.Blocks {
		if b := &p.schema.Blocks[i]; p.missing(b.Name) {
			missing = true
			lasting(b.Index, []reflect.Value{reflect.Zero(p.value.FieldByIndex(b.Index).Type())})
		}
	}
	return found, missing && !slices.ContainsFunc(found, func(c Claim) bool { return c.Sort == ClaimMount })
}

// doubtful says whether an argument is mistaken, or not known yet.
func (p *part) doubtful(name string) bool { return p.missing(name) || p.refused.has(name) }

// topOf is the argument or block that a field of a claim begins with.
func topOf(field string) string {
	top, _, _ := strings.Cut(field, ".")
	return top
}

// placeOf finds "path", "ports.1", "env.NAME" and "block.argument" in a block.
func placeOf(body *hclsyntax.Body, field string, otherwise hcl.Range) hcl.Range {
	top, rest, inside := strings.Cut(field, ".")
	if a := body.Attributes[top]; a != nil {
		if !inside {
			return a.Expr.Range()
		}
		if i, err := strconv.Atoi(rest); err == nil {
			return at(a.Expr, &mistake{element: i})
		}
		return keyRange(a.Expr, rest)
	}
	for _, b := range body.Blocks {
		if b.Type != top {
			continue
		}
		if !inside {
			return b.TypeRange
		}
		return placeOf(b.Body, rest, b.TypeRange)
	}
	return otherwise
}

// occupant is an instance with what it claims, while its service is evaluated.
type occupant struct {
	draft  *resourceDraft
	config *part
	res    *Resource // nil where there is a mistake in it
	off    bool      // disabled, or that is not known
	mounts []Claim
	makes  bool // it claims what file systems are made of: paths are its own business
	lost   bool // what it claims is not fully known
}

// hold notes what an instance claims. res is not yet in force, and complete says whether
// it will be.
func (x *evaluation) hold(s *serviceDraft, d *resourceDraft, e element, config, own *part, res *Resource, complete bool) {
	if e.unknown && !d.unknownKeys { // there is no instance
		return
	}
	o := &occupant{draft: d, config: config, off: res.Disabled || own.missing("disabled"), lost: e.unknown}
	s.occupants = append(s.occupants, o)
	if complete {
		o.res = res
	}
	if e.unknown {
		return
	}
	var claims []Claim
	claims, o.lost = config.claims()
	h := holder{address: res.Address, claims: make([]held, 0, len(claims))}
	for _, c := range claims {
		switch c.Sort {
		case ClaimMount:
			o.mounts, o.makes = append(o.mounts, c), true
		case ClaimDevice, ClaimFile:
			o.makes = true
		case ClaimAddress, ClaimPort, ClaimName:
		default:
			panic("internal error: a claim of sort " + string(c.Sort))
		}
		h.claims = append(h.claims, held{
			key: claimKey(c.Sort, c.Domain, c.Value), shared: c.Shared,
			at: placeOf(d.block.Body, c.Field, d.block.TypeRange),
		})
	}
	if o.off || len(claims) == 0 {
		return
	}
	if d.readsNode {
		h.node = x.node.Name
	}
	s.holders = append(s.holders, h)
}

// keep notes what a service claims, to compare it with the others. A service that is
// evaluated for several nodes is kept once, with what differs there.
func (x *evaluation) keep(s *Service, d *serviceDraft, at hcl.Range) {
	strays := x.checkPaths(d)
	if len(d.holders) == 0 && len(strays) == 0 {
		return
	}
	slices.SortStableFunc(d.holders, func(a, b holder) int { return a.claims[0].at.Start.Byte - b.claims[0].at.Start.Byte })
	if h := x.file.lastHolding(at); h != nil {
		h.merge(d.holders, strays)
		return
	}
	x.file.holdings = append(x.file.holdings, holding{
		service: s.FullName, at: at, nodes: s.Nodes, manual: s.Orchestrate == Manual, all: s.Topology == Everywhere,
		with: s.With, apart: s.Apart, holders: d.holders, strays: strays,
	})
}

// unplaced says whether a service's own arguments leave open where it may be, or beside whom.
func (p *part) unplaced() bool {
	return slices.ContainsFunc([]string{"namespace", "nodes", "topology", "orchestrate", "requires", "with", "apart"}, p.doubtful)
}

// lastHolding is that of the service at a place, which is evaluated now.
func (f *file) lastHolding(at hcl.Range) *holding {
	if n := len(f.holdings); n > 0 && f.holdings[n-1].at == at {
		return &f.holdings[n-1]
	}
	return nil
}

func (f *file) forgetHolding(at hcl.Range) {
	if f.lastHolding(at) != nil {
		f.holdings = f.holdings[:len(f.holdings)-1]
	}
}

// merge adds what another evaluation of the same service found and this one did not.
func (h *holding) merge(holders []holder, strays []stray) {
	known := map[Address]*holder{}
	for i := range h.holders {
		if o := &h.holders[i]; o.node == "" {
			known[o.address] = o
		}
	}
	for _, o := range holders {
		if base := known[o.address]; base != nil {
			o.claims = slices.DeleteFunc(o.claims, func(c held) bool { return slices.Contains(base.claims, c) })
		}
		if len(o.claims) > 0 {
			h.holders = append(h.holders, o)
		}
	}
	base := len(slices.DeleteFunc(slices.Clone(h.strays), func(s stray) bool { return s.node != "" })) // they come first
	for _, s := range strays {
		anywhere := s
		anywhere.node = ""
		if !slices.Contains(h.strays[:base], anywhere) {
			h.strays = append(h.strays, s)
		}
	}
}

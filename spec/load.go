package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"
)

// Node is what expressions may read of the node they are evaluated for.
type Node struct {
	Name    string            // "": not known, so that node.* have no known value
	Labels  map[string]string // nil: not known
	Cluster string            // "": not known
}

// Options say for whom a set is read.
type Options struct {
	Kinds     Kinds
	Node      Node
	Namespace string       // of services that name none; "": that of their folder
	Secrets   Fingerprints // nil: none is known
	Notes     bool         // also find what is no mistake, which only people who look at a set need
	Part      bool         // files beside these may read what they define

	// Nodes are those that there are; nil: not known. What reads node.* is evaluated for
	// each that is a candidate of its service, and Node is left empty. The Spec that Load
	// returns is then that of no node in particular: it is for looking at, not for running.
	Nodes []Node
}

// Loader reads a set of files again and again. It keeps the evaluated services and
// little more, so that loading after one file changed costs that file, not the set.
// Not safe for concurrent use.
type Loader struct {
	options Options
	files   map[string]*file
	table   map[string]map[string]*definition // by folder and "var.name" or "local.name"
	base    *hcl.EvalContext
	budget  *budget
	sees    nodeValues // of options.Node
	facts   map[*Schema]*facts
	zones   map[string]*time.Location // by name; nil where there is none
	last    *Spec                     // the last set without errors
	shared  sync.Mutex                // around what the evaluation of several files uses: facts, zones, and maps of a run
}

// file is what is kept of one file between loads: no source, no syntax tree.
type file struct {
	source []byte          // during a load: of a new or changed file, and where a finding needs it
	body   *hclsyntax.Body // during a load

	path, folder string
	id           identity
	racy         bool
	hash         [sha256.Size]byte
	agent        bool  // an agent's own configuration: not part of the set
	parsed       bool  // once its content was looked at
	broken       bool  // not HCL: what it defines is not known, or not all of it
	torn         *torn // what is known of a broken file; nil: nothing
	incomplete   bool  // something in it could not be evaluated: evaluated again by every load
	definitions  []*definition
	reads        []read
	includes     []include
	secrets      []secretUse
	services     []*Service
	mentions     []mention
	declared     []declaration
	lost         []string // names of services whose full names are mistaken
	holdings     []holding
	plain        []plainUse
	ignores      []ignore
	varies       bool // it reads what may differ from node to node
	findings     []Finding
}

// include is another file that file("…") put into an expression.
type include struct {
	path string
	hash [sha256.Size]byte
	by   *definition // whose expression it is; nil: one of a service or assertion
}

// declaration is a service's name and place, also of a service with mistakes in it.
type declaration struct {
	fullName string
	at       hcl.Range
	standing
}

// run is one load.
type run struct {
	*Loader
	fsys     fs.FS
	paths    []string // sorted
	previous map[string]map[string]*definition
	included map[string]*included

	fingerprints map[string]string // of secrets, by name
	bytes        int64
	anyBad       bool // some file is not HCL: what seems to be missing may be in there
	unreadable   bool // some file could not even be read
	refused      func(Findings) bool
	refuses      bool // refused, of all that was found
	badIn        map[string]bool
	tornIn       map[string][]*torn
	findings     []Finding
}

type included struct {
	text string
	hash [sha256.Size]byte
	err  error
}

// NewLoader returns a loader that has read nothing yet.
func NewLoader(o Options) *Loader {
	b := &budget{}
	all := make(map[string]function.Function, len(functions)+1)
	for name, f := range functions {
		if all[name] = f; name != "try" && name != "can" { // these take expressions, not values
			all[name] = b.counted(f, name)
		}
	}
	all[countName] = b.count()
	o = o.forNodes()
	return &Loader{
		budget: b, options: o, sees: o.Node.values(), files: map[string]*file{}, facts: map[*Schema]*facts{}, zones: map[string]*time.Location{},
		base: &hcl.EvalContext{Functions: all},
	}
}

// Files returns the hash of each file of the set as the last Load read it, by path;
// files that file("…") includes are among them.
func (l *Loader) Files() map[string]string {
	out := make(map[string]string, len(l.files))
	for p, f := range l.files {
		if f.agent {
			continue
		}
		out[p] = hex.EncodeToString(f.hash[:])
		for _, i := range f.includes {
			out[i.path] = hex.EncodeToString(i.hash[:])
		}
	}
	return out
}

// Load reads the set below the root of fsys. It returns every finding, and no Spec
// when one of them is an error. Files are read on all processors, so that fsys must be
// safe for concurrent use. Services that did not change are the same pointers
// as in the Spec before.
func (l *Loader) Load(fsys fs.FS) (*Spec, Findings) { return l.load(fsys, Findings.HasErrors) }

// LoadAccepted is Load of a set that was in force already. A version with more rules finds
// more in it; what only would go wrong on a node, and a comment could silence, keeps
// nothing from being supervised that runs.
func (l *Loader) LoadAccepted(fsys fs.FS) (*Spec, Findings) {
	return l.load(fsys, func(all Findings) bool { return slices.ContainsFunc(all, fatal) })
}

// fatal says whether a finding keeps a set from being read.
func fatal(f Finding) bool { return f.Severity == Error && !codeByName[f.Code].Silent() }

func (l *Loader) load(fsys fs.FS, refused func(Findings) bool) (*Spec, Findings) {
	r := &run{
		Loader: l, fsys: fsys, previous: l.table, refused: refused,
		included: map[string]*included{}, badIn: map[string]bool{}, tornIn: map[string][]*torn{}, fingerprints: map[string]string{},
	}
	if len(r.options.Nodes) > maxNodes {
		r.report(newFinding(codeTooMany, hcl.Range{}, "Name those that matter.", fmt.Sprintf("it would be evaluated for more than %d nodes", maxNodes)))
		return nil, r.findings
	}
	entries := r.walk()
	if len(r.findings) > 0 && entries == nil {
		return nil, sortFindings(r.findings)
	}
	r.budget.reset(sizeOf(entries), len(r.options.Nodes))
	r.bringIn(entries)
	for _, p := range r.paths {
		switch f := r.files[p]; {
		case f.torn != nil:
			r.tornIn[f.folder] = append(r.tornIn[f.folder], f.torn)
		case f.broken:
			r.badIn[f.folder] = true
		}
	}
	r.define()
	r.refresh()
	r.checkSet()
	r.checkUnused()
	r.checkPlain()
	findings := r.collect()
	if r.budget.spent() { // what else was found depends on who spent it
		findings = Findings{newFinding(codeTooMany, hcl.Range{}, "A few loops in each other, or long texts in loops, make more than can be held: divide them, or write files for them.", errSpent.Error()[len("the set "):])}
		for _, f := range r.files {
			f.incomplete = true
		}
		r.refuses = true
	}
	if r.refuses {
		return nil, findings
	}
	l.last = r.assemble()
	return l.last, findings
}

// changedBeside says whether something that a file's expressions read from outside the
// set's own files, or by file("…"), is another than it was.
func (r *run) changedBeside(f *file) bool {
	return r.secretsChanged(f) || slices.ContainsFunc(f.includes, func(i include) bool {
		now := r.include(i.path)
		return now.err != nil || now.hash != i.hash
	})
}

// forgetIncludes drops those of expressions that are to be evaluated again.
func (f *file) forgetIncludes(by *definition) {
	f.includes = slices.DeleteFunc(f.includes, func(i include) bool { return i.by == by })
}

// structural are the findings that parsing alone has given.
func (f *file) structural() []Finding {
	return slices.DeleteFunc(f.findings, func(x Finding) bool {
		return x.Code != codeSetTwice && x.Code != codeFunction && x.Code != codeNotHere && x.Code != codeMark &&
			x.Code != codeSyntax && x.Code != codeTooDeep && x.Code != codeSwallowed
	})
}

// assemble makes the Spec of all files.
func (r *run) assemble() *Spec {
	s := &Spec{Services: make(map[string]*Service, len(r.paths))}
	hash := sha256.New()
	for _, p := range r.paths {
		f := r.files[p]
		if f.agent {
			continue
		}
		hash.Write([]byte(p))
		hash.Write([]byte{0})
		hash.Write(f.hash[:])
		slices.SortFunc(f.includes, func(a, b include) int { return strings.Compare(a.path, b.path) }) // evaluated in any order
		for n, i := range f.includes {
			if n == 0 || f.includes[n-1].path != i.path {
				hash.Write(i.hash[:])
			}
		}
		for _, svc := range f.services {
			s.Services[svc.FullName] = svc
			s.Names = append(s.Names, svc.FullName)
		}
	}
	slices.Sort(s.Names)
	s.Digest = Digest(hex.EncodeToString(hash.Sum(nil)))
	return s
}

func (r *run) report(f Finding) {
	r.shared.Lock()
	defer r.shared.Unlock()
	r.findings = append(r.findings, f)
}

func (r *run) reportFile(code, p, detail string, args ...any) {
	f := newFinding(code, hcl.Range{}, oneLine(detail), args...)
	f.File = p
	r.report(f)
}

// collect gathers what is to be said about all files, with the sources of those
// that something is said about.
func (r *run) collect() Findings {
	all := r.findings
	for _, p := range r.paths {
		f := r.files[p]
		all = append(all, f.findings...)
		for _, d := range f.definitions {
			all = append(all, d.findings...)
		}
		for _, x := range f.findings {
			f.incomplete = f.incomplete || x.Severity == Error && !r.silenced(x)
		}
	}
	all = sortFindings(all)
	hideSecrets(all)
	all = r.silence(all)
	r.refuses = r.refused(all) // before some are left out
	all = bounded(all)
	sources := map[string][]byte{}
	for i := range all {
		p := all[i].File
		if p == "" || all[i].Range.Start.Line == 0 {
			continue
		}
		src, have := sources[p]
		if !have {
			if f := r.files[p]; f != nil {
				src = f.source
			}
			if src == nil {
				src, _ = readFile(r.fsys, p, maxFileSize) // without it there is no snippet, nothing worse
			}
			sources[p] = src
		}
		all[i].source = src
	}
	for _, p := range r.paths {
		r.files[p].source = nil
	}
	return all
}

// bounded keeps the errors, and of what keeps no set from being used as much as there is
// room for, notes last. That warnings are missing is a warning; notes are not missed.
func bounded(all Findings) Findings {
	if len(all) <= maxFindings {
		return all
	}
	room := map[Severity]int{}
	left := maxFindings
	for _, s := range []Severity{Error, Warning, Note} {
		room[s] = min(left, all.Count(s))
		left -= room[s]
	}
	tooMany := all.Count(Error)+all.Count(Warning) > maxFindings
	all = slices.DeleteFunc(all, func(f Finding) bool {
		room[f.Severity]--
		return room[f.Severity] < 0
	})
	if tooMany {
		more := newFinding(codeTooMany, hcl.Range{}, "These are the first: mend them, and look again.", fmt.Sprintf("more than %d errors and warnings", maxFindings))
		if !all.HasErrors() { // warnings keep nobody from using the set, however many
			more.Severity = Warning
		}
		all = append(Findings{more}, all...)
	}
	return all
}

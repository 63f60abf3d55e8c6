package spec

import (
	"crypto/sha256"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"
)

const (
	maxWorkers = 8

	// Files that define something are parsed before all others. Of so many of them the
	// trees are kept until their turn to be evaluated comes; those of the others are made
	// again then, so that the trees of a large set are never in memory together.
	keptTrees = 100
)

// each does something with each of n files, on as many processors as there are. It
// returns when all is done.
func each(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0), maxWorkers)
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			do(int(i))
		}
	}
	var others sync.WaitGroup
	for range workers - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// arrival is a file that may have changed since the load before.
type arrival struct {
	entry
	known  *file // nil: it is new
	source []byte
	hash   [sha256.Size]byte
	at     time.Time
	err    error
}

// bringIn makes the records of all files. New and changed ones are read, and looked into
// where they may define variables or locals, which any other file may read.
func (r *run) bringIn(entries []entry) {
	files := make(map[string]*file, len(entries))
	r.paths = make([]string, 0, len(entries))
	keep := func(f *file) {
		files[f.path] = f
		r.paths = append(r.paths, f.path)
	}
	var arrivals []*arrival
	for _, e := range entries {
		known := r.files[e.path]
		switch {
		case known != nil && !known.racy && known.id == identityOf(e.info) && !known.incomplete && !r.changedBeside(known):
			keep(known)
		case r.mayRead(e):
			arrivals = append(arrivals, &arrival{entry: e, known: known})
		default:
			r.missing(e.path)
		}
	}
	each(len(arrivals), func(i int) {
		a := arrivals[i]
		a.at = time.Now()
		a.source, a.err = readFile(r.fsys, a.path, maxFileSize)
		a.hash = sha256.Sum256(a.source)
	})
	var defining []*file
	for _, a := range arrivals {
		f := r.arrived(a)
		if f == nil {
			r.missing(a.path)
			continue
		}
		keep(f)
		if f.source != nil && mayDefine(f.source) {
			defining = append(defining, f)
		}
	}
	r.files = files
	slices.Sort(r.paths)
	slices.SortFunc(defining, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	each(len(defining), func(i int) {
		f := defining[i]
		if body := f.parse(f.source); i < keptTrees {
			f.body = body
		}
	})
}

// missing notes that a file could not be read: what seems not to be there may be in it.
func (r *run) missing(p string) { r.anyBad, r.unreadable, r.badIn[path.Dir(p)] = true, true, true }

// mayRead keeps what is read within bounds.
func (r *run) mayRead(e entry) bool {
	if e.info.Size() > maxFileSize {
		r.reportFile(codeTooLarge, e.path, "A file holds at most 4 MiB: divide it.", "the file")
		return false
	}
	if r.bytes += e.info.Size(); r.bytes > maxSetSize {
		r.report(newFinding(codeTooMany, hcl.Range{}, "Give the folder of the services alone.", "more than 256 MiB are to be read"))
		return false
	}
	return true
}

// arrived returns the record of a file that was read: the known one where its content is
// the same, nil where it could not be read.
func (r *run) arrived(a *arrival) *file {
	if a.err != nil {
		r.reportFile(codeUnreadable, a.path, a.err.Error()+".", "the file")
		return nil
	}
	if len(a.source) > maxFileSize {
		r.reportFile(codeTooLarge, a.path, "A file holds at most 4 MiB: divide it.", "the file")
		return nil
	}
	id := identityOf(a.info)
	if known := a.known; known != nil && known.hash == a.hash && !known.incomplete && !r.changedBeside(known) {
		known.id, known.racy = id, id.racy(a.at)
		return known
	}
	return &file{path: strings.Clone(a.path), folder: path.Dir(a.path), id: id, racy: id.racy(a.at), hash: a.hash, source: a.source}
}

// refresh evaluates the files whose content, or the values that they read, changed. Each
// reads definitions, which are settled by now, and nothing of the others, so that their
// order says nothing.
func (r *run) refresh() {
	var changed []*file
	for _, p := range r.paths {
		if f := r.files[p]; f.source != nil || f.body != nil || !f.agent && !f.illegible() && r.readsChanged(f.folder, f.reads) {
			changed = append(changed, f)
		}
	}
	each(len(changed), func(i int) { r.refreshFile(changed[i]) })
	for _, p := range r.paths {
		r.anyBad = r.anyBad || r.files[p].broken
	}
}

func (r *run) refreshFile(f *file) {
	defer f.forget()
	if !f.parsed {
		f.body = f.parse(f.source)
	}
	if f.agent || f.illegible() || r.reparse(f) == nil {
		return
	}
	f.reads, f.services, f.mentions, f.declared, f.lost, f.findings, f.incomplete = nil, nil, nil, nil, nil, f.structural(), false
	f.holdings, f.plain = nil, nil
	f.forgetIncludes(nil)
	r.evaluate(f, f.body)
}

// illegible says whether nothing of the file can be read.
func (f *file) illegible() bool { return f.broken && f.torn == nil }

// forget drops a file's tree, and its source where nothing is to be shown of it.
func (f *file) forget() {
	f.body = nil
	for _, d := range f.definitions {
		d.expr = nil
	}
	if len(f.findings) == 0 {
		f.source = nil
	}
}

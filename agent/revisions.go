package agent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// keptRevisions is how many revisions are kept.
const keptRevisions = 50

// batchSync is from how many new blobs on the whole file system is flushed once.
const batchSync = 8

// Revision is a set of files that was accepted. Its Files are never changed.
type Revision struct {
	Number int               `json:"number"` // from 1
	Time   time.Time         `json:"time"`
	Digest spec.Digest       `json:"digest"` // of names and content
	Author string            `json:"author"`
	Files  map[string]string `json:"files"` // name → sha256 of the content, hex
}

// base is the revision that a directory last equalled.
type base struct {
	Dir      string   `json:"dir"`
	Revision Revision `json:"revision"` // without files
}

// revisions keeps the accepted sets in the state directory. What can't be written
// stays in memory, and in force, until Flush can write it. Not safe for concurrent use.
type revisions struct {
	dir     string // <state>/spec
	loaded  bool   // the disk was read: numbers continue its own
	kept    []Revision
	current *Revision         // with files; nil: none yet
	content map[string][]byte // of current, by sum; shared with the set that was put
	refs    map[string]int    // kept revisions that use a blob
	bases   map[string]base
	unsaved map[int]Revision  // whole manifests that the disk lacks
	blobs   map[string][]byte // their blobs that the disk lacks
	lost    map[string]bool   // blobs that were found missing or damaged
	saved   int               // the newest manifest that the disk was given; 0: none
	stale   bool              // spec/current is to be written
	moved   map[string]bool   // bases that the disk lacks
	fault   error             // of the last write; nil: all is on disk
}

// openRevisions opens the store in a state directory and makes it where it is
// missing. It always returns a store that works, in memory at least; the error says
// what is damaged or can't be read, and belongs into the agent's status.
func openRevisions(stateDir string) (*revisions, error) {
	r := &revisions{
		dir: filepath.Join(stateDir, "spec"), refs: map[string]int{}, bases: map[string]base{},
		unsaved: map[int]Revision{}, blobs: map[string][]byte{}, lost: map[string]bool{}, moved: map[string]bool{},
	}
	return r, r.load()
}

// Current returns the revision in force, or nil where there is none yet.
func (r *revisions) Current() *Revision { return r.current }

// List returns the kept revisions, oldest first, without their files.
func (r *revisions) List() []Revision { return slices.Clone(r.kept) }

// Fault says why the disk lacks something, or is nil.
func (r *revisions) Fault() error { return r.fault }

// Put makes a set the revision in force and writes the blobs that are new. A
// revision that comes with an error is in force all the same: it is in memory, and
// Flush writes it later. The content must not be changed afterwards.
func (r *revisions) Put(files map[string][]byte, author string, now time.Time) (Revision, error) {
	rev := Revision{Number: 1, Time: now.UTC(), Author: author, Files: make(map[string]string, len(files))}
	if r.current != nil {
		rev.Number = r.current.Number + 1
	}
	content := make(map[string][]byte, len(files))
	for name, c := range files {
		sum := sumOf(c)
		rev.Files[name] = sum
		if _, twice := content[sum]; twice {
			continue
		}
		content[sum] = c
		if r.refs[sum]++; r.refs[sum] == 1 || r.lost[sum] {
			r.blobs[sum] = c
		}
	}
	rev.Digest = digestOf(rev.Files)
	r.current, r.content = &rev, content
	r.kept = append(r.kept, header(rev))
	r.unsaved[rev.Number] = rev
	r.stale = true
	r.bound()
	return rev, r.Flush()
}

// bound forgets the oldest revisions that the disk lacks, once there are more of
// them than are kept at all.
func (r *revisions) bound() {
	for len(r.unsaved) > keptRevisions {
		oldest := slices.Min(slices.Collect(maps.Keys(r.unsaved)))
		for sum := range blobsOf(r.unsaved[oldest]) {
			if r.refs[sum]--; r.refs[sum] <= 0 {
				delete(r.refs, sum)
				delete(r.blobs, sum)
			}
		}
		delete(r.unsaved, oldest)
		r.kept = slices.DeleteFunc(r.kept, func(k Revision) bool { return k.Number == oldest })
	}
}

// Heal gives the store the content of the revision in force, from a directory that
// equals it: what the disk has lost of it is written again.
func (r *revisions) Heal(files map[string][]byte) error {
	if r.current == nil {
		return nil
	}
	content := make(map[string][]byte, len(files))
	sums := make(map[string]string, len(files))
	for name, c := range files {
		sums[name] = sumOf(c)
		content[sums[name]] = c
	}
	if digestOf(sums) != r.current.Digest {
		return nil
	}
	r.content = content
	for sum, c := range content {
		if _, err := os.Stat(r.blobPath(sum)); r.lost[sum] || errors.Is(err, fs.ErrNotExist) {
			r.blobs[sum] = c
		}
	}
	return r.Flush()
}

func header(rev Revision) Revision {
	rev.Files = nil
	return rev
}

// Base returns the revision that a directory last equalled, without its files, or
// nil where it is unknown.
func (r *revisions) Base(dir string) *Revision {
	b, ok := r.bases[filepath.Clean(dir)]
	if !ok {
		return nil
	}
	return &b.Revision
}

// SetBase notes that a directory equals a revision now.
func (r *revisions) SetBase(dir string, number int) error {
	dir = filepath.Clean(dir)
	i, ok := r.find(number)
	if !ok {
		return fmt.Errorf("cannot note the revision of %s: revision %d is not kept (svcctl spec history lists those that are)", dir, number)
	}
	if had, ok := r.bases[dir]; ok && had.Revision.Number == number && had.Revision.Digest == r.kept[i].Digest && !r.moved[dir] {
		return nil
	}
	r.bases[dir] = base{Dir: dir, Revision: r.kept[i]}
	r.moved[dir] = true
	return r.Flush()
}

func (r *revisions) find(number int) (int, bool) {
	return slices.BinarySearchFunc(r.kept, number, func(k Revision, n int) int { return cmp.Compare(k.Number, n) })
}

// Get returns a kept revision with its files.
func (r *revisions) Get(number int) (Revision, error) {
	if r.current != nil && r.current.Number == number {
		return *r.current, nil
	}
	if rev, ok := r.unsaved[number]; ok {
		return rev, nil
	}
	if _, ok := r.find(number); !ok {
		return Revision{}, fmt.Errorf("cannot read revision %d: it is not kept (svcctl spec history lists those that are)", number)
	}
	return readManifest(r.manifestPath(number), number)
}

// FS returns the set of a kept revision. Every file is checked against its hash.
func (r *revisions) FS(number int) (fs.FS, error) {
	rev, err := r.Get(number)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(rev.Files))
	var damaged []string
	for _, name := range slices.Sorted(maps.Keys(rev.Files)) {
		c, err := r.blob(rev.Files[name])
		if err != nil {
			r.lost[rev.Files[name]] = true
			damaged = append(damaged, fmt.Sprintf("%s (%v)", name, err))
			continue
		}
		files[name] = c
	}
	if len(damaged) > 0 {
		if len(damaged) > 5 {
			damaged = append(damaged[:5], fmt.Sprintf("and %d more", len(damaged)-5))
		}
		return nil, fmt.Errorf("cannot read revision %d: %s: svcctl apply DIR stores the set anew", number, strings.Join(damaged, ", "))
	}
	if r.current != nil && number == r.current.Number && r.content == nil {
		r.content = make(map[string][]byte, len(files))
		for name, c := range files {
			r.content[rev.Files[name]] = c
		}
	}
	return contentFiles(files), nil
}

func (r *revisions) blob(sum string) ([]byte, error) {
	if c, ok := r.content[sum]; ok {
		return c, nil
	}
	if c, ok := r.blobs[sum]; ok {
		return c, nil
	}
	path := r.blobPath(sum)
	c, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing", path)
	}
	if err != nil {
		return nil, err
	}
	if is := sha256.Sum256(c); hex.EncodeToString(is[:]) != sum {
		return nil, fmt.Errorf("%s is damaged: its content does not have the hash of its name", path)
	}
	return c, nil
}

// fileChange is a file that differs between two revisions.
type fileChange struct {
	Name string
	How  string // added, removed or changed
}

// Diff lists the files that differ between two kept revisions, by name.
func (r *revisions) Diff(from, to int) ([]fileChange, error) {
	a, err := r.Get(from)
	if err != nil {
		return nil, err
	}
	b, err := r.Get(to)
	if err != nil {
		return nil, err
	}
	var out []fileChange
	for name, sum := range a.Files {
		switch is, ok := b.Files[name]; {
		case !ok:
			out = append(out, fileChange{name, "removed"})
		case is != sum:
			out = append(out, fileChange{name, "changed"})
		}
	}
	for name := range b.Files {
		if _, ok := a.Files[name]; !ok {
			out = append(out, fileChange{name, "added"})
		}
	}
	slices.SortFunc(out, func(x, y fileChange) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

func (r *revisions) blobPath(sum string) string { return filepath.Join(r.dir, "blobs", sum) }

func (r *revisions) manifestPath(number int) string {
	return filepath.Join(r.dir, "revisions", strconv.Itoa(number)+".json")
}

func (r *revisions) basePath(dir string) string {
	return filepath.Join(r.dir, "base", sumOf([]byte(dir)))
}

func readManifest(path string, number int) (Revision, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Revision{}, fmt.Errorf("cannot read revision %d: %w", number, err)
	}
	var rev Revision
	if err := json.Unmarshal(raw, &rev); err != nil {
		return Revision{}, fmt.Errorf("cannot read revision %d: %s is damaged: %w", number, path, err)
	}
	if rev.Number != number || rev.Digest != digestOf(rev.Files) {
		return Revision{}, fmt.Errorf("cannot read revision %d: %s is damaged: its files do not have its digest", number, path)
	}
	return rev, nil
}

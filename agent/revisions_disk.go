package agent

import (
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

	"github.com/svcctl/svcctl/spec"
)

// load reads the disk. Damage is told and left in place: what can be read is used,
// and a damaged newest revision never makes an older one the one in force.
func (r *revisions) load() error {
	for _, folder := range []string{"blobs", "revisions", "base"} {
		if err := os.MkdirAll(filepath.Join(r.dir, folder), 0o700); err != nil {
			// A read-only state directory can be read all the same.
			if _, seen := os.ReadDir(filepath.Join(r.dir, folder)); seen != nil && !errors.Is(seen, fs.ErrNotExist) {
				return r.cannot("read", seen)
			}
			r.fault = r.cannot("write", err)
		}
	}
	numbers, err := r.numbers()
	if err != nil {
		return r.cannot("read", err)
	}
	var damage []error
	for _, n := range numbers {
		rev, err := readManifest(r.manifestPath(n), n)
		if err != nil {
			damage = append(damage, err)
			continue
		}
		r.keep(rev)
	}
	if err := r.loadCurrent(numbers); err != nil {
		damage = append(damage, err)
	}
	if err := r.loadBases(); err != nil {
		damage = append(damage, err)
	}
	r.loaded = true
	return errors.Join(append(damage, r.fault)...)
}

func (r *revisions) keep(rev Revision) {
	for sum := range blobsOf(rev) {
		r.refs[sum]++
	}
	r.kept = append(r.kept, header(rev))
}

func blobsOf(rev Revision) map[string]bool {
	out := make(map[string]bool, len(rev.Files))
	for _, sum := range rev.Files {
		out[sum] = true
	}
	return out
}

func (r *revisions) numbers() ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "revisions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.Atoi(name); ok && err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// loadCurrent finds the revision in force. The newest manifest decides where
// spec/current is behind it: a crash came between the two writes.
func (r *revisions) loadCurrent(numbers []int) error {
	path := filepath.Join(r.dir, "current")
	said := 0
	raw, err := os.ReadFile(path)
	switch {
	case err == nil:
		if said, err = strconv.Atoi(strings.TrimSpace(string(raw))); err != nil {
			r.stale = true
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	newest := said
	if len(numbers) > 0 {
		newest = max(said, numbers[len(numbers)-1])
	}
	if newest == 0 {
		return nil
	}
	if _, ok := r.find(newest); !ok {
		// Its number stays taken, and its unknown digest equals nothing: the directory is asked about, not published over it.
		r.current = &Revision{Number: newest, Digest: spec.Digest("damaged")}
		return fmt.Errorf("cannot read revision %d, which is in force: its manifest in %s is missing or damaged: svcctl apply DIR stores the set anew", newest, filepath.Join(r.dir, "revisions"))
	}
	rev, err := readManifest(r.manifestPath(newest), newest)
	if err != nil {
		return err
	}
	r.current, r.saved, r.stale = &rev, newest, said != newest
	return nil
}

func (r *revisions) loadBases() error {
	entries, err := os.ReadDir(filepath.Join(r.dir, "base"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var damage []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(r.dir, "base", e.Name())
		raw, err := os.ReadFile(path)
		var b base
		if err == nil {
			err = json.Unmarshal(raw, &b)
		}
		if err == nil && path != r.basePath(b.Dir) {
			err = errors.New("it names another directory")
		}
		if err != nil {
			damage = append(damage, fmt.Errorf("cannot read %s: %w (the revision of a directory is unknown until it equals one again)", path, err))
			continue
		}
		r.bases[b.Dir] = b
	}
	return errors.Join(damage...)
}

// Flush writes what the disk lacks, in the order that makes a crash harmless:
// blobs, manifests, the current number, bases. It costs one stat where nothing is
// lacking, and writes everything anew where the state directory was lost.
func (r *revisions) Flush() error {
	r.fault = r.flush()
	return r.fault
}

func (r *revisions) flush() error {
	if !r.loaded {
		if err := r.reload(); err != nil {
			return err
		}
	}
	if r.otherDisk() {
		if err := r.reload(); err != nil {
			return err
		}
	}
	r.missCurrent()
	if len(r.unsaved) == 0 && len(r.blobs) == 0 && !r.stale && len(r.moved) == 0 {
		return nil
	}
	for _, folder := range []string{"blobs", "revisions", "base"} {
		if err := os.MkdirAll(filepath.Join(r.dir, folder), 0o700); err != nil {
			return r.cannot("write", err)
		}
	}
	if err := r.writeBlobs(); err != nil {
		return r.cannot("write", err)
	}
	for _, n := range slices.Sorted(maps.Keys(r.unsaved)) {
		raw, err := json.Marshal(r.unsaved[n])
		if err != nil {
			return fmt.Errorf("cannot store revision %d: %w", n, err)
		}
		if err := writeDurably(r.manifestPath(n), raw); err != nil {
			return r.cannot("write", err)
		}
		r.saved = n
		delete(r.unsaved, n)
	}
	if r.stale {
		// Not synced: after a power loss the newest manifest says the same.
		if err := writeBeside(filepath.Join(r.dir, "current"), []byte(strconv.Itoa(r.current.Number)+"\n"), false); err != nil {
			return r.cannot("write", err)
		}
		r.stale = false
	}
	for dir := range r.moved {
		raw, err := json.Marshal(r.bases[dir])
		if err != nil {
			return fmt.Errorf("cannot note the revision of %s: %w", dir, err)
		}
		// The rename is not synced: an old base is moved again as soon as the sets are found equal.
		if err := writeBeside(r.basePath(dir), raw, true); err != nil {
			return r.cannot("write", err)
		}
		delete(r.moved, dir)
	}
	return r.collect()
}

// otherDisk says whether the disk holds other revisions under the numbers that are
// to be written: the state directory was mounted only after the agent had started.
func (r *revisions) otherDisk() bool {
	for n, rev := range r.unsaved {
		if is, err := readManifest(r.manifestPath(n), n); err == nil && is.Digest != rev.Digest {
			return true
		}
	}
	return false
}

func (r *revisions) cannot(what string, err error) error {
	return fmt.Errorf("cannot %s the revisions in %s: %w (services go on; is the disk full, read-only or gone?)", what, r.dir, err)
}

// reload reads a disk that could not be read when the agent started, and puts the
// revisions that were accepted meanwhile behind those that it holds.
func (r *revisions) reload() error {
	disk, err := openRevisions(filepath.Dir(r.dir))
	if !disk.loaded {
		return err
	}
	shift := 0
	if disk.current != nil {
		shift = disk.current.Number
	}
	for _, n := range slices.Sorted(maps.Keys(r.unsaved)) {
		rev := r.unsaved[n]
		rev.Number += shift
		disk.keep(rev)
		disk.unsaved[rev.Number] = rev
		disk.current, disk.content, disk.stale = &rev, r.content, true
	}
	for dir, b := range r.bases {
		b.Revision.Number += shift
		disk.bases[dir], disk.moved[dir] = b, true
	}
	maps.Copy(disk.blobs, r.blobs)
	*r = *disk
	return nil
}

// missCurrent notices a state directory that was lost and came back empty: the
// revision in force, and the bases, are written again.
func (r *revisions) missCurrent() {
	if r.saved == 0 || r.content == nil {
		return
	}
	if _, err := os.Stat(r.manifestPath(r.saved)); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	r.unsaved[r.current.Number] = *r.current
	maps.Copy(r.blobs, r.content)
	r.stale = true
	for dir := range r.bases {
		r.moved[dir] = true
	}
}

func (r *revisions) writeBlobs() error {
	if len(r.blobs) == 0 {
		return nil
	}
	one := len(r.blobs) < batchSync
	folder := filepath.Join(r.dir, "blobs")
	for sum, c := range r.blobs {
		if err := writeBeside(r.blobPath(sum), c, one); err != nil {
			return err
		}
	}
	flush := syncFolder
	if !one {
		flush = syncFileSystem
	}
	if err := flush(folder); err != nil {
		return err
	}
	clear(r.blobs)
	clear(r.lost)
	return nil
}

// collect removes the oldest revisions beyond those that are kept, and their blobs.
func (r *revisions) collect() error {
	for len(r.kept) > keptRevisions {
		oldest := r.kept[0].Number
		rev, err := r.Get(oldest)
		r.kept = r.kept[1:]
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // its blobs stay: better litter than a loss
		}
		// The manifest goes first: no manifest ever names a blob that was removed.
		if err := remove(r.manifestPath(oldest)); err != nil {
			return r.cannot("write", err)
		}
		for sum := range blobsOf(rev) {
			if r.refs[sum]--; r.refs[sum] > 0 {
				continue
			}
			delete(r.refs, sum)
			if err := remove(r.blobPath(sum)); err != nil {
				return r.cannot("write", err)
			}
		}
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

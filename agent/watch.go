package agent

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// maxWatchedFolders bounds what one services directory takes of the host's watches.
const maxWatchedFolders = 4096

// maxSetFiles bounds the files of a set, for the watcher and for the reader.
const maxSetFiles = 50_000

// watchTimes are the waits of a watcher.
type watchTimes struct {
	quiet    time.Duration // after a rename or removal, which complete a change
	written  time.Duration // after a write, which more may follow
	longest  time.Duration // from the first event of a burst to the signal, however busy it is
	lock     time.Duration // how long git's lock holds the signal back
	lockLook time.Duration
	net      time.Duration // between two looks for what no event told
	poll     time.Duration // the same where the host grants no watch
}

func defaultWatchTimes(quiet time.Duration) watchTimes {
	return watchTimes{
		quiet: quiet, written: max(10*quiet, 50*time.Millisecond), longest: 2 * time.Second,
		lock: 10 * time.Second, lockLook: 5 * time.Millisecond, net: 30 * time.Second, poll: 2 * time.Second,
	}
}

// watcher tells when a services directory changed. It watches folders, never files,
// since an editor's rename leaves a file's watch behind on the old content; and what
// it tells is only "look again", so that a lost or doubled event changes nothing.
type watcher struct {
	dir     string // absolute, as it was given
	times   watchTimes
	log     hclog.Logger
	changes chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	once    sync.Once

	// Owned by run.
	fsw      *fsnotify.Watcher // nil: the host gives no inotify instance
	watched  map[string]identity
	set      map[string]bool // watched folders that belong to the set: each name in them counts
	names    map[string]bool // watched paths outside of it, or dot names inside, that count
	polling  bool
	stale    bool                 // the watches no longer fit the folders
	print    uint64               // of the set, as of the last signal or look
	first    time.Time            // first event of the burst; zero: none pending
	due      time.Time            // when to signal
	lockedAt time.Time            // since when git's lock holds the signal back
	writes   map[string]time.Time // files being written in place: until when they are waited for
}

// newWatcher watches dir and everything below it until Close. A directory that does
// not exist yet is waited for. quiet is how long a set must rest after a rename
// before it is told; zero means 5 ms.
func newWatcher(dir string, quiet time.Duration, log hclog.Logger) (*watcher, error) {
	if quiet <= 0 {
		quiet = 5 * time.Millisecond
	}
	return startWatcher(dir, defaultWatchTimes(quiet), log)
}

func startWatcher(dir string, times watchTimes, log hclog.Logger) (*watcher, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w (give an absolute path)", dir, err)
	}
	w := &watcher{
		dir: abs, times: times, log: log, changes: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}),
		watched: map[string]identity{}, writes: map[string]time.Time{},
	}
	w.open()
	w.rescan()
	w.print = fingerprint(w.dir)
	go w.run()
	return w, nil
}

// Changes receives after the set changed and came to rest. Changes that come
// together, or before the last one was received, are told once.
func (w *watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watcher and returns when it has ended. It may be called twice.
func (w *watcher) Close() {
	w.once.Do(func() { close(w.stop) })
	<-w.ended
}

func (w *watcher) open() {
	fsw, err := fsnotify.NewWatcher()
	if err != nil {
		w.degrade(err)
		return
	}
	w.fsw = fsw
}

func (w *watcher) run() {
	defer close(w.ended)
	defer func() {
		if w.fsw != nil {
			_ = w.fsw.Close() // nothing is lost by a watch that ends badly
		}
	}()
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	look := time.NewTimer(w.interval())
	defer look.Stop()
	for {
		was := w.polling
		var events chan fsnotify.Event
		var faults chan error
		if w.fsw != nil {
			events, faults = w.fsw.Events, w.fsw.Errors
		}
		select {
		case <-w.stop:
			return
		case e := <-events:
			w.event(e, time.Now())
		case err := <-faults:
			w.fault(err)
		case <-wake.C:
			w.wake(time.Now())
		case <-look.C:
			w.look(time.Now())
			look.Reset(w.interval())
		}
		if w.polling != was {
			look.Reset(w.interval())
		}
		if !w.first.IsZero() {
			wake.Reset(time.Until(w.due))
		}
	}
}

func (w *watcher) interval() time.Duration {
	if w.polling {
		return w.times.poll
	}
	return w.times.net
}

// event takes note of one change and puts the signal off until the set rests.
func (w *watcher) event(e fsnotify.Event, now time.Time) {
	path := filepath.Clean(e.Name)
	folder := filepath.Dir(path)
	decides := w.names[path]
	_, isWatched := w.watched[path]
	switch {
	case decides, isWatched:
	case w.set[folder] && !strings.HasPrefix(filepath.Base(path), "."):
	default:
		return // an editor's swap file, a half copied dot file, a neighbour of a link
	}
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		delete(w.writes, path) // whatever was written there is complete, or gone
		if isWatched {
			w.forget(path)
		}
	}
	// The watches are fitted once, before the signal, not for each folder of a checkout.
	w.stale = w.stale || decides || isWatched
	if e.Has(fsnotify.Write) {
		w.writing(path, now)
	} else if e.Has(fsnotify.Create) {
		fi, err := os.Lstat(path)
		switch {
		case err != nil || !fi.Mode().IsRegular():
			w.stale = true
		case fi.Size() == 0:
			w.writing(path, now) // opened, not yet written; a renamed file is complete
		}
	}
	w.postpone(now, w.times.quiet)
}

// writing waits longer for a file that is written in place, since no event that
// fsnotify passes on says that its writer has closed it.
func (w *watcher) writing(path string, now time.Time) {
	if len(w.writes) < 1024 { // beyond, the burst itself keeps the signal back
		w.writes[path] = now.Add(w.times.written)
	}
}

func (w *watcher) postpone(now time.Time, wait time.Duration) {
	if w.first.IsZero() {
		w.first = now
	}
	w.due = now.Add(wait)
	for _, until := range w.writes {
		if until.After(w.due) {
			w.due = until
		}
	}
	if last := w.first.Add(w.times.longest); w.due.After(last) {
		w.due = last
	}
}

func (w *watcher) wake(now time.Time) {
	if w.first.IsZero() || now.Before(w.due) {
		return
	}
	if gitBusy(w.dir) {
		if w.lockedAt.IsZero() {
			w.lockedAt = now
		}
		if now.Sub(w.lockedAt) < w.times.lock {
			w.due = now.Add(w.times.lockLook)
			return
		}
		w.log.Warn("git's lock is not released; reading the services anyway", "lock", gitLock(w.dir), "waited", w.times.lock)
	}
	if w.stale {
		w.rescan()
	}
	w.signal()
	// Taken behind the signal, which is waited for: the look takes milliseconds in a large set.
	w.print = fingerprint(w.dir)
}

func (w *watcher) signal() {
	w.first, w.lockedAt = time.Time{}, time.Time{}
	clear(w.writes)
	select {
	case w.changes <- struct{}{}:
	default: // one is waiting already, and it says the same
	}
}

// look finds what no event told: changes on a network file system, a path element
// replaced far above, a host without watches.
func (w *watcher) look(now time.Time) {
	if w.fsw == nil {
		w.open()
	}
	w.rescan()
	if is := fingerprint(w.dir); is != w.print {
		w.print = is
		w.postpone(now, 0)
	}
}

func (w *watcher) fault(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		w.log.Debug("the kernel's queue of file events ran over; looking at everything", "dir", w.dir)
	} else {
		w.log.Warn("watching files failed; looking at everything", "dir", w.dir, "error", err)
	}
	w.stale = true
	w.postpone(time.Now(), w.times.quiet)
}

// rescan makes the watches fit the folders that there are now.
func (w *watcher) rescan() {
	w.stale = false
	way := resolveChain(w.dir)
	w.set, w.names = map[string]bool{}, way.names
	wanted := way.parents
	if way.real != "" {
		found, err := walkSet(way.real, maxSetFiles)
		if err != nil {
			w.log.Debug("cannot look at all of the services directory", "dir", w.dir, "error", err)
		}
		if found != nil {
			w.want(found, wanted)
		}
	}
	if w.fsw == nil {
		return
	}
	alive := map[string]bool{}
	for _, path := range w.fsw.WatchList() {
		alive[path] = true
	}
	for path := range w.watched {
		if !wanted[path] || !alive[path] {
			w.forget(path)
		}
	}
	if len(wanted) > maxWatchedFolders {
		w.degrade(fmt.Errorf("the directory has %d folders, more than %d", len(wanted), maxWatchedFolders))
		return
	}
	for path := range wanted {
		if err := w.watch(path); err != nil {
			w.degrade(err)
			return
		}
	}
	if w.polling {
		w.log.Info("watching files again", "dir", w.dir)
		w.polling = false
	}
}

// want adds the folders of a set, and those that its links lead to.
func (w *watcher) want(found *setWalk, wanted map[string]bool) {
	for _, folder := range found.folders {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			w.set[real], wanted[real] = true, true
		}
	}
	for _, link := range found.links {
		way := resolveChain(link)
		for parent := range way.parents {
			wanted[parent] = true
		}
		for name := range way.names {
			w.names[name] = true
		}
	}
}

// watch adds one folder. One that vanished meanwhile is no error: its parent tells.
func (w *watcher) watch(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return nil
	}
	id := folderIdentity(fi)
	if had, ok := w.watched[path]; ok {
		if had == id {
			return nil
		}
		w.forget(path) // another folder bears the name now
	}
	if err := w.fsw.Add(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return err
	}
	w.watched[path] = id
	return nil
}

func (w *watcher) forget(path string) {
	delete(w.watched, path)
	_ = w.fsw.Remove(path) // the kernel may have dropped it with the folder
}

// degrade falls back to looking every two seconds.
func (w *watcher) degrade(err error) {
	if w.polling {
		return
	}
	w.polling = true
	hint := "move what does not belong to the services elsewhere"
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "raise the sysctl fs.inotify.max_user_watches"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		hint = "raise the sysctl fs.inotify.max_user_instances"
	}
	w.log.Warn("cannot watch files; looking at them at intervals instead", "dir", w.dir, "interval", w.times.poll, "error", err, "hint", hint)
}

// fingerprint is a hash of what the stat of every file of a set says; a set that
// can't be looked at has the fingerprint of its error.
func fingerprint(dir string) uint64 {
	h := fnv.New64a()
	found, err := walkSet(dir, maxSetFiles)
	if err != nil {
		fmt.Fprint(h, err)
	}
	if found != nil {
		for _, f := range found.files {
			fmt.Fprint(h, f.name, f.id, '\n')
		}
	}
	return h.Sum64()
}

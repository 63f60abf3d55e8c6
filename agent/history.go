package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

const (
	maxRuns    = 100     // of a task that are kept
	maxRunWhy  = 2 << 10 // bytes of a run's reason
	maxHistory = 1 << 20 // bytes read of one task's file
)

// history keeps the newest runs of each task in the state directory: a file a task, a
// line a run, the newest last. It is written behind the loop's back; what the disk does
// not take waits in memory, as many runs as are kept.
type history struct {
	dir string
	log hclog.Logger

	mu      sync.Mutex
	pending map[spec.Address]*unwritten
	fault   string
	wake    chan struct{}

	disk chan struct{} // holds one while somebody is at the files; taken before mu
}

// unwritten is what the disk has still to take of one task.
type unwritten struct {
	forget bool // first
	runs   []engine.Run
}

func newHistory(stateDir string, log hclog.Logger) *history {
	return &history{dir: filepath.Join(stateDir, "runs"), log: log, pending: make(map[spec.Address]*unwritten), wake: make(chan struct{}, 1), disk: make(chan struct{}, 1)}
}

// add notes a run. It waits for nobody.
func (h *history) add(task spec.Address, run engine.Run) {
	if len(run.Why) > maxRunWhy {
		run.Why = strings.ToValidUTF8(run.Why[:maxRunWhy], "") + "…"
	}
	h.change(task, func(u *unwritten) {
		u.runs = append(u.runs, run)
		u.runs = u.runs[max(0, len(u.runs)-maxRuns):]
	})
}

// forget takes a task's history away.
func (h *history) forget(task spec.Address) {
	h.change(task, func(u *unwritten) { *u = unwritten{forget: true} })
}

func (h *history) change(task spec.Address, f func(*unwritten)) {
	h.mu.Lock()
	u := h.pending[task]
	if u == nil {
		u = &unwritten{}
		h.pending[task] = u
	}
	f(u)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *history) run(ctx context.Context) {
	retry := time.NewTicker(mendEvery)
	defer retry.Stop()
	for {
		select {
		case <-h.wake:
		case <-retry.C:
		case <-ctx.Done():
			h.save()
			return
		}
		h.save()
	}
}

// save writes what waits. What can't be written waits on.
func (h *history) save() {
	h.disk <- struct{}{}
	defer func() { <-h.disk }()
	h.mu.Lock()
	tasks := h.pending
	h.pending = make(map[spec.Address]*unwritten)
	h.mu.Unlock()
	if len(tasks) == 0 {
		return
	}
	var failed error
	for task, u := range tasks {
		if err := h.write(task, u); err != nil {
			failed = err
			h.keep(task, u)
		}
	}
	now := ""
	if failed != nil {
		now = failed.Error()
	}
	if now != "" && now != h.fault {
		h.log.Warn("cannot keep the history of tasks on disk; it waits in memory", "error", failed)
	}
	h.fault = now
}

// keep puts back what could not be written, before what came meanwhile.
func (h *history) keep(task spec.Address, u *unwritten) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if newer := h.pending[task]; newer != nil {
		if newer.forget {
			return
		}
		u.runs = append(u.runs, newer.runs...)
		u.runs = u.runs[max(0, len(u.runs)-maxRuns):]
	}
	h.pending[task] = u
}

// path is a file whose name tells the task. Keys of for_each may make an address longer
// than a name may be.
func (h *history) path(task spec.Address) string {
	const longest = 200
	name := url.PathEscape(string(task))
	if len(name) > longest {
		sum := sha256.Sum256([]byte(task))
		name = name[:longest] + "-" + hex.EncodeToString(sum[:8])
	}
	return filepath.Join(h.dir, name+".jsonl")
}

// write brings one task's file up to date. Lines are appended until there are twice as
// many as are kept. The caller holds disk.
func (h *history) write(task spec.Address, u *unwritten) error {
	path := h.path(task)
	if u.forget {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		u.forget = false
	}
	if len(u.runs) == 0 {
		return nil
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	old, err := readRuns(path)
	if err != nil {
		return err
	}
	if len(old)+len(u.runs) > 2*maxRuns {
		all := slices.Concat(old, u.runs)
		b, err := runLines(all[len(all)-maxRuns:])
		if err != nil {
			return err
		}
		return writeDurably(path, b)
	}
	b, err := runLines(u.runs)
	if err != nil {
		return err
	}
	return appendDurably(path, b)
}

func runLines(runs []engine.Run) ([]byte, error) {
	var b bytes.Buffer
	for _, r := range runs {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}

// appendDurably adds lines to a file. Half a line at its end, of a crash or a full
// disk, is ended first, so that it spoils nothing but itself.
func appendDurably(path string, lines []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, fi.Size()-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
	}
	_, err = f.Write(lines)
	if err == nil {
		err = f.Sync()
	}
	if err != nil { // it is tried again as a whole
		return errors.Join(err, f.Truncate(fi.Size()))
	}
	if fi.Size() == 0 {
		return syncFolder(filepath.Dir(path))
	}
	return nil
}

// readRuns reads a task's file, the newest last; lines that are damaged are left out.
func readRuns(path string) (runs []engine.Run, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, fi.Size()-maxHistory)
	b, err := io.ReadAll(io.NewSectionReader(f, from, maxHistory))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		var r engine.Run
		if json.Unmarshal(line, &r) == nil && r.Result != "" {
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// History returns the newest runs of a task that ended, or did not come about, the
// newest first.
func (a *Agent) History(ctx context.Context, task spec.Address, limit int) ([]engine.Run, error) {
	type answer struct {
		runs []engine.Run
		err  error
	}
	answered := make(chan answer, 1)
	select {
	case a.history.disk <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot read the history of %s: %w (does the state directory hang?)", task, ctx.Err())
	}
	go func() { // a disk that hangs holds up nobody for longer than ctx
		defer func() { <-a.history.disk }()
		runs, err := a.history.newest(task, min(limit, maxRuns))
		answered <- answer{runs, err}
	}()
	select {
	case got := <-answered:
		return got.runs, got.err
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot read the history of %s: %w (does the state directory hang?)", task, ctx.Err())
	}
}

// newest is for whoever holds disk.
func (h *history) newest(task spec.Address, limit int) ([]engine.Run, error) {
	runs, err := readRuns(h.path(task))
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.pending[task]; u != nil {
		if u.forget {
			runs, err = nil, nil
		}
		runs = append(runs, u.runs...)
	}
	if err != nil && len(runs) == 0 {
		return nil, fmt.Errorf("cannot read the history of %s: %w", task, err)
	}
	slices.Reverse(runs)
	return runs[:min(len(runs), limit)], nil
}

package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

const (
	logPoll    = 200 * time.Millisecond // how often a followed file is looked at
	maxRotated = 1000                   // files of one resource
	maxLogRead = 16 << 20               // bytes read back for the last lines
	maxLogLine = 64 << 10
)

// LogPath is the file that keeps a resource's output; the older part of it has .1,
// .2, … behind its name.
func (c Config) LogPath(a spec.Address) string {
	name := strings.NewReplacer("/", "_", "\x00", "_").Replace(a.Local())
	return filepath.Join(c.LogDir(), a.Service(), name+".log")
}

// Logs yields the last lines of a resource's output, and with follow those to come,
// until ctx ends. Values of secrets that a program printed are not shown.
func (a *Agent) Logs(ctx context.Context, address spec.Address, lines int, follow bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line, err := range a.output(ctx, address, lines, follow) {
			if !yield(a.scrub(line), a.scrubError(err)) {
				return
			}
		}
	}
}

func (a *Agent) output(ctx context.Context, address spec.Address, lines int, follow bool) iter.Seq2[string, error] {
	if l, ok := a.driver(ctx, address).(drivers.Logger); ok {
		return l.Logs(ctx, lines, follow)
	}
	return a.fileLines(ctx, address, lines, follow)
}

func (a *Agent) fileLines(ctx context.Context, address spec.Address, lines int, follow bool) iter.Seq2[string, error] {
	path := a.o.Config.LogPath(address)
	return func(yield func(string, error) bool) {
		last, offset, id, err := lastLines(path, lines)
		if err != nil && !(follow && errors.Is(err, fs.ErrNotExist)) {
			yield("", err)
			return
		}
		for _, line := range last {
			if !yield(line, nil) {
				return
			}
		}
		if follow {
			followLines(ctx, path, offset, id, yield)
		}
	}
}

// lastLines reads back over rotated files until it has n lines. offset and id say
// where the newest file was read to.
func lastLines(path string, n int) (lines []string, offset int64, id os.FileInfo, err error) {
	budget := int64(maxLogRead)
	for i := range maxRotated {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		if i > 0 && (len(lines) >= n || budget <= 0) {
			break
		}
		b, fi, err := readTail(name, budget)
		if err != nil {
			if i == 0 {
				return nil, 0, nil, err
			}
			break
		}
		if i == 0 {
			end := bytes.LastIndexByte(b, '\n') + 1 // a line that is being written comes later, whole
			offset, id = fi.Size()-int64(len(b)-end), fi
			b = b[:end]
		}
		budget -= int64(len(b))
		lines = slices.Concat(splitLines(b), lines)
	}
	return lines[max(0, len(lines)-n):], offset, id, nil
}

func readTail(name string, most int64) ([]byte, os.FileInfo, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	from := max(0, fi.Size()-most)
	b, err := io.ReadAll(io.NewSectionReader(f, from, fi.Size()-from))
	if from > 0 {
		if cut := bytes.IndexByte(b, '\n'); cut >= 0 {
			b = b[cut+1:]
		}
	}
	return b, fi, err
}

func splitLines(b []byte) []string {
	text := strings.TrimSuffix(string(b), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// followLines yields what is appended, also over a rotation: the rest of the old
// file first.
func followLines(ctx context.Context, path string, offset int64, id os.FileInfo, yield func(string, error) bool) {
	tick := time.NewTicker(logPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := os.Stat(path)
		if err != nil {
			continue // between a rotation and the next line
		}
		if id != nil && !os.SameFile(id, now) {
			if _, ok := emit(path+".1", offset, yield); !ok {
				return
			}
			offset = 0
		}
		id = now
		if now.Size() < offset {
			offset = 0 // truncated: a single file starts over
		}
		if now.Size() == offset {
			continue
		}
		var ok bool
		if offset, ok = emit(path, offset, yield); !ok {
			return
		}
	}
}

// emit yields the whole lines from offset on and returns where they end.
func emit(path string, offset int64, yield func(string, error) bool) (int64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return offset, true
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return offset, true
	}
	r := bufio.NewReaderSize(f, maxLogLine)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return offset, true
		}
		offset += int64(len(line))
		if !yield(strings.TrimSuffix(string(line), "\n"), nil) {
			return offset, false
		}
	}
}

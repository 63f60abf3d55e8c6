package keeper

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// maxOpen bounds the log files that are open at once.
const maxOpen = 64

// logFile is a file of lines that is rotated by size. Only the writer of the
// outputs touches its file; it opens on demand and may be closed at any time.
type logFile struct {
	path  string
	limit int64
	files int

	file *os.File
	size int64
	used uint64 // when it was last written, in writes
	lost int64  // lines since the last one that was written; guarded by outputs.mu
}

// files is the bounded set of open log files.
type files struct {
	open  map[*logFile]struct{}
	clock uint64
}

// write appends whole lines, behind a note about those that were lost before them.
// It returns the bytes that are in the files, which end with a whole line.
func (fs *files) write(l *logFile, lost int64, lines []byte) (done int, err error) {
	if lost > 0 {
		note := fmt.Appendf(nil, "%s svcctl: %d lines are missing here: the disk did not take them\n", time.Now().Format(stamp), lost)
		if err := fs.append(l, note); err != nil {
			return 0, err
		}
	}
	for done < len(lines) {
		piece := lines[done:]
		if int64(len(piece)) > l.limit { // a burst is rotated too
			end := bytes.LastIndexByte(piece[:l.limit], '\n') + 1
			if end == 0 {
				end = bytes.IndexByte(piece, '\n') + 1
			}
			piece = piece[:end]
		}
		if err := fs.append(l, piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return done, nil
}

func (fs *files) append(l *logFile, b []byte) error {
	if err := fs.ready(l, int64(len(b))); err != nil {
		return err
	}
	n, err := l.file.Write(b)
	if err != nil {
		l.undo(n)
		return err
	}
	l.size += int64(n)
	return nil
}

// undo takes half a line back out, so that the next one does not follow it.
func (l *logFile) undo(n int) {
	if n > 0 {
		_ = l.file.Truncate(l.size) // the error to report is that of the write
	}
}

func (fs *files) ready(l *logFile, more int64) error {
	fs.clock++
	l.used = fs.clock
	if l.file != nil && l.size > 0 && l.size+more > l.limit {
		fs.close(l)
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file != nil {
		return nil
	}
	if len(fs.open) >= maxOpen {
		var oldest *logFile
		for o := range fs.open {
			if oldest == nil || o.used < oldest.used {
				oldest = o
			}
		}
		fs.close(oldest)
	}
	if err := l.openFile(); err != nil {
		return err
	}
	if l.size > 0 && l.size+more > l.limit { // full since before it was opened
		l.file.Close()
		l.file = nil
		if err := l.rotate(); err != nil {
			return err
		}
		if err := l.openFile(); err != nil {
			return err
		}
	}
	fs.open[l] = struct{}{}
	return nil
}

func (l *logFile) openFile() error {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE
	f, err := os.OpenFile(l.path, flags, 0o640)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(l.path), 0o750); err == nil {
			f, err = os.OpenFile(l.path, flags, 0o640)
		}
	}
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, st.Size()
	return nil
}

func (l *logFile) rotate() error {
	if l.files <= 1 {
		return os.Truncate(l.path, 0)
	}
	for i := l.files - 1; i > 1; i-- {
		if err := os.Rename(fmt.Sprintf("%s.%d", l.path, i-1), fmt.Sprintf("%s.%d", l.path, i)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return os.Rename(l.path, l.path+".1")
}

func (fs *files) close(l *logFile) {
	if l.file != nil {
		l.file.Close()
		l.file = nil
		delete(fs.open, l)
	}
}

func countLines(b []byte) int64 { return int64(bytes.Count(b, []byte{'\n'})) }

package mount

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// entry is one line of the mount table.
type entry struct {
	id, parent   int
	device       string // major:minor
	root, point  string
	options      string // of this mount
	kind, source string
	super        string // options of the file system, shared by all its mounts
}

func (e *entry) has(option string) bool {
	return hasWord(e.options, option) || hasWord(e.super, option)
}

func hasWord(words, word string) bool {
	for w := range strings.SplitSeq(words, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// view is what the table says about one path.
type view struct {
	reading uint64 // which reading of the table it is from
	found   bool
	top     entry   // the mount at the path that is on top
	hidden  string  // a mount point above the path whose mount came later
	below   []entry // of whatever covers the source of a bind mount: only the last
	under   int     // how many mounts there are at the path
}

// maxTable bounds what is read of the table: more than the kernel's own default
// limit of 100,000 mounts needs.
const maxTable = 64 << 20

// table reads the mount table. The file stays open, and the buffer and what was found
// in it are kept, so that a probe of a table that is the same costs one read and no
// allocation.
type table struct {
	mu       sync.Mutex
	file     io.ReaderAt
	buf      []byte
	readings uint64
	text     []byte // what the views were found in
	views    map[question]view
}

// question is what look is asked. Those that nobody asks any more go with the next
// change of the table.
type question struct{ path, source string }

// openTable keeps the file out of the runtime's own epoll, where os.Open would put
// it: each change is told once for each open file, and epoll would take it from us.
func openTable() (*os.File, error) {
	const name = "/proc/self/mountinfo"
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil // blocking, hence not polled
}

// read returns the text of the table, valid until the lock is released.
func (t *table) read() ([]byte, error) {
	t.readings++
	if t.file == nil {
		f, err := openTable()
		if err != nil {
			return nil, fmt.Errorf("cannot read the mount table: %w", err)
		}
		t.file, t.buf = f, make([]byte, 16<<10)
	}
	for n := 0; ; {
		if n == len(t.buf) {
			if n >= maxTable {
				return nil, fmt.Errorf("cannot read the mount table: it has more than %d bytes (what mounts all the time?)", maxTable)
			}
			t.buf = append(t.buf, make([]byte, len(t.buf))...)
		}
		got, err := t.file.ReadAt(t.buf[n:], int64(n))
		n += got
		if err == io.EOF {
			return t.buf[:n], nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the mount table: %w", err)
		}
	}
}

// look fills v with what is at path, and with what covers source where one is given.
func (t *table) look(path, source string, v *view) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := t.read()
	if err != nil {
		return err
	}
	if !bytes.Equal(text, t.text) || t.views == nil {
		t.text, t.views = append(t.text[:0], text...), make(map[question]view)
	}
	kept, found := t.views[question{path, source}]
	if !found {
		kept = lookIn(text, path, source)
		t.views[question{path, source}] = kept
	}
	*v = kept
	v.reading = t.readings
	return nil
}

// last is the reading that began last.
func (t *table) last() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.readings
}

// lookIn keeps the lines whose mount point is path or lies on the way to it.
func lookIn(text []byte, path, source string) (v view) {
	var above []entry // few: the mounts on the way down to the path
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		point := field(line, 4)
		switch {
		case escapedEqual(point, path):
			// A mount is on top of the one that is its parent; where several are
			// there, the table has the later one behind.
			e := parse(line)
			if v.under == 0 || e.parent == v.top.id || v.top.parent != e.id {
				v.top = e
			}
			v.found = true
			v.under++
			above = append(above, e)
		case holds(point, path):
			above = append(above, parse(line))
		}
		if source != "" && (escapedEqual(point, source) || holds(point, source)) {
			e := parse(line)
			if len(v.below) == 0 {
				v.below = append(v.below, e)
			} else if len(e.point) >= len(v.below[0].point) {
				v.below[0] = e
			}
		}
	}
	if v.found {
		v.hidden = hiddenBy(above, &v.top)
	}
	return v
}

// hiddenBy finds a mount over a directory above the path that is no ancestor of top:
// it came later, and a walk down the path ends in it.
func hiddenBy(above []entry, top *entry) string {
	ancestors := map[int]bool{}
	for id, next := top.id, true; next; {
		next = false
		for i := range above {
			if above[i].id == id && !ancestors[id] {
				ancestors[id] = true
				id, next = above[i].parent, true
				break
			}
		}
	}
	for i := range above {
		if e := &above[i]; !ancestors[e.id] && e.point != top.point && e.point != "/" {
			return e.point
		}
	}
	return ""
}

// children lists the mount points below path.
func (t *table) children(path string) (points []string, err error) {
	err = t.each(func(e *entry) {
		if strings.HasPrefix(e.point, path+"/") {
			points = append(points, e.point)
		}
	})
	return points, err
}

func (t *table) each(f func(*entry)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := t.read()
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		e := parse(bytes.TrimSuffix(line, []byte{'\n'}))
		f(&e)
	}
	return nil
}

// field returns the nth word of a line, from 0.
func field(line []byte, n int) []byte {
	for ; n > 0; n-- {
		space := bytes.IndexByte(line, ' ')
		if space < 0 {
			return nil
		}
		line = line[space+1:]
	}
	if space := bytes.IndexByte(line, ' '); space >= 0 {
		line = line[:space]
	}
	return line
}

// holds tells whether the mount point lies above path.
func holds(point []byte, path string) bool {
	if len(point) == 1 {
		return point[0] == '/'
	}
	if bytes.IndexByte(point, '\\') >= 0 {
		point = []byte(unescape(point))
	}
	return len(path) > len(point) && path[len(point)] == '/' && path[:len(point)] == string(point)
}

func escapedEqual(point []byte, path string) bool {
	if bytes.IndexByte(point, '\\') >= 0 {
		return unescape(point) == path
	}
	return string(point) == path
}

// parse reads a line: id, parent, device, root, point, options, optional fields up
// to a dash, then type, source and the file system's options.
func parse(line []byte) (e entry) {
	mount, super, _ := bytes.Cut(line, []byte(" - "))
	e.id, _ = strconv.Atoi(string(field(mount, 0))) // the kernel writes numbers
	e.parent, _ = strconv.Atoi(string(field(mount, 1)))
	e.device = string(field(mount, 2))
	e.root, e.point, e.options = unescape(field(mount, 3)), unescape(field(mount, 4)), string(field(mount, 5))
	e.kind, e.source, e.super = string(field(super, 0)), unescape(field(super, 1)), string(field(super, 2))
	return e
}

// unescape undoes the kernel's octal escapes of space, tab, newline and backslash.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if c, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(c))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}

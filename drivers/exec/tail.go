package exec

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails and never blocks, so that a chatty command is not held up.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if len(b) > kept {
		b = b[len(b)-kept:]
	}
	if over := len(t.buf) + len(b) - kept; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	t.buf = append(t.buf, b...)
	return n, nil
}

// lastLine returns the last line with something in it, fit to be shown.
func (t *tail) lastLine() string {
	t.mu.Lock()
	text := strings.TrimRightFunc(string(t.buf), unicode.IsSpace)
	t.mu.Unlock()
	line := strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	const shown = 300
	if len(line) > shown {
		cut := len(line) - shown
		for cut < len(line) && !utf8.RuneStart(line[cut]) {
			cut++
		}
		line = "…" + line[cut:]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1 // a terminal's colours have no place in a status
		}
		return r
	}, strings.ToValidUTF8(line, ""))
}

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
	if len(line) > shown {
		cut := len(line) - shown
		for cut < len(line) && !utf8.RuneStart(line[cut]) {
			cut++
		}
		line = "…" + line[cut:]
	}
	return readable(line)
}

// readable is text fit to be shown: a terminal's colours have no place in a status.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(text, "")))
}

// head keeps the beginning of what is written to it. It is safe for concurrent use.
type head struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails and never blocks, as that of tail.
func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, b[:min(len(b), begins-len(h.buf))]...)
	return len(b), nil
}

func (h *head) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.buf)
}

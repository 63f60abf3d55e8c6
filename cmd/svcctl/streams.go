package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// streams is where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	colour   bool
	width    int  // columns of out
	screen   bool // out is one: rows of tables end at its border
	watched  bool // err is a terminal
}

// readInput reads standard input. Whoever is to write it may never do so: a signal ends the
// program from here on, as if it had never asked to be told.
func (s *streams) readInput(most int64) ([]byte, error) {
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	return io.ReadAll(io.LimitReader(s.in, most))
}

// output is standard output. What could not be written is an error of the command, whatever
// else it says: a report that is cut short is none. Nothing follows the gap.
type output struct {
	sync.Mutex
	to     io.Writer
	failed error
}

func (o *output) Write(p []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	if o.failed != nil {
		return 0, o.failed
	}
	n, err := o.to.Write(p)
	if err != nil {
		o.failed = fmt.Errorf("cannot write standard output: %w", cause(err))
	}
	return n, o.failed
}

// plainWidth is for what is no terminal.
const plainWidth = 80

// tableWidth is what a row may take. Another program, and who reads its file, gets all of it.
func (s *streams) tableWidth() int {
	if s.screen {
		return s.width
	}
	return math.MaxInt32
}

func osStreams() *streams {
	s := &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, width: plainWidth}
	s.watched = term.IsTerminal(int(os.Stderr.Fd()))
	fd := int(os.Stdout.Fd())
	if s.screen = term.IsTerminal(fd); s.screen {
		s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			s.width = w
		}
	}
	return s
}

type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	dim    colour = "2"
)

// paint colours text for a terminal, and for nothing else.
func (s *streams) paint(c colour, text string) string {
	if !s.colour || c == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// clip shortens text to width columns, saying so by its last one.
func clip(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	return string(runes[:width-1]) + "…"
}

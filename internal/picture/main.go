// Command picture runs a program on a terminal in memory, types keys to it, and draws what it shows as an SVG.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

const columns, rows = 80, 24

// patience bounds the wait for each text.
const patience = 30 * time.Second

func main() {
	out := flag.String("o", "", "the file to write")
	steps := flag.String("steps", "", "what to do, between semicolons: wait:TEXT or type:KEYS, such as wait:orders;type:j")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: picture -o FILE -steps STEPS PROGRAM ARGUMENT…")
		os.Exit(2)
	}
	if err := run(*out, *steps, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// terminal is the program's screen.
type terminal struct {
	mu      sync.Mutex
	screen  vt10x.Terminal
	changed chan struct{}
}

func run(out, steps string, command []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=", "NO_COLOR=")
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		return fmt.Errorf("cannot run %s: %w (is it built?)", command[0], err)
	}
	t := &terminal{screen: vt10x.New(vt10x.WithSize(columns, rows)), changed: make(chan struct{}, 1)}
	var reading sync.WaitGroup
	reading.Go(func() { t.read(tty) })
	err = t.play(tty, steps)
	if err == nil {
		err = os.WriteFile(out, []byte(t.draw()), 0o644)
	}
	cancel()
	_ = c.Wait() // it was killed, and its screen is all that is wanted
	_ = tty.Close()
	reading.Wait()
	return err
}

func (t *terminal) read(tty *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := tty.Read(buf)
		if err != nil {
			return
		}
		t.mu.Lock()
		_, _ = t.screen.Write(buf[:n]) // a screen in memory
		t.mu.Unlock()
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

func (t *terminal) play(tty *os.File, steps string) error {
	for step := range strings.SplitSeq(steps, ";") {
		verb, text, _ := strings.Cut(step, ":")
		switch verb {
		case "wait":
			if err := t.await(text); err != nil {
				return err
			}
		case "type":
			text = strings.NewReplacer(`\r`, "\r", `\e`, "\x1b").Replace(text)
			if _, err := tty.WriteString(text); err != nil {
				return fmt.Errorf("cannot type: %w", err)
			}
		default:
			return fmt.Errorf("cannot do %q: a step is wait:TEXT or type:KEYS", step)
		}
	}
	return nil
}

func (t *terminal) await(text string) error {
	give := time.NewTimer(patience)
	defer give.Stop()
	for {
		t.mu.Lock()
		shown := t.screen.String()
		t.mu.Unlock()
		if strings.Contains(shown, text) {
			return nil
		}
		select {
		case <-t.changed:
		case <-give.C:
			return errors.New("there is no " + text + " on the screen:\n" + shown)
		}
	}
}

// The first eight colours of a terminal, readable on a dark ground.
var palette = []string{"#1d2021", "#fb4934", "#b8bb26", "#fabd2f", "#83a598", "#d3869b", "#8ec07c", "#ebdbb2"}

const (
	cellWidth, cellHeight = 8.4, 18.0
	margin                = 10.0
	ground, ink           = "#1d2021", "#ebdbb2"
)

// draw writes runs of one colour as text elements, each as wide as its cells.
func (t *terminal) draw() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	width, height := columns*cellWidth+2*margin, rows*cellHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="6" fill="%s"/>`+"\n"+`<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">`+"\n", ground)
	for y := range rows {
		for x := 0; x < columns; {
			first := t.screen.Cell(x, y)
			from := x
			var text strings.Builder
			for ; x < columns && t.screen.Cell(x, y).FG == first.FG; x++ {
				text.WriteRune(max(t.screen.Cell(x, y).Char, ' '))
			}
			if words := strings.TrimRight(text.String(), " "); words != "" {
				fill := ink
				if int(first.FG) < len(palette) {
					fill = palette[first.FG]
				}
				fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s" textLength="%.1f">%s</text>`+"\n", margin+float64(from)*cellWidth,
					margin+float64(y)*cellHeight+13, fill, float64(len([]rune(words)))*cellWidth, html.EscapeString(words))
			}
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

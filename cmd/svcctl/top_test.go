package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"github.com/svcctl/svcctl/engine"
)

// terminal is a pseudo-terminal with `svcctl top` on it, and what a person would see.
type terminal struct {
	t       *testing.T
	keys    *os.File
	screen  vt10x.Terminal
	raw     strings.Builder // all that was written
	mu      sync.Mutex
	changed chan struct{} // something was written
	ended   chan int      // the exit code
}

func newTerminal(t *testing.T, columns, rows int, colour bool, args ...string) *terminal {
	t.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: uint16(rows), Cols: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, keys: keys, screen: vt10x.New(vt10x.WithSize(columns, rows)), changed: make(chan struct{}, 1), ended: make(chan int, 1)}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.raw.Write(buf[:n])
			_, _ = term.screen.Write(buf[:n]) // a screen in memory
			term.mu.Unlock()
			select {
			case term.changed <- struct{}{}:
			default:
			}
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		term.ended <- execute(ctx, &streams{in: tty, out: tty, err: io.Discard, width: columns, colour: colour}, append(args, "top"))
	}()
	t.Cleanup(func() {
		_, _ = keys.WriteString("\x03") // a context that ends would leave its reader behind
		select {
		case <-ran:
		case <-time.After(10 * time.Second):
			cancel()
			<-ran
		}
		cancel()
		_ = tty.Close()
		_ = keys.Close()
		<-reading
	})
	return term
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// shows waits until the screen has all the texts.
func (term *terminal) shows(texts ...string) string {
	term.t.Helper()
	return term.await(func(screen string) string {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return "no " + text
			}
		}
		return ""
	})
}

func (term *terminal) await(wrong func(screen string) string) string {
	term.t.Helper()
	give := time.NewTimer(30 * time.Second)
	defer give.Stop()
	for {
		screen := term.text()
		why := wrong(screen)
		if why == "" {
			return screen
		}
		select {
		case <-term.changed:
		case <-give.C:
			term.t.Fatalf("%s on the screen:\n%s", why, screen)
		}
	}
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.keys.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) quits() {
	term.t.Helper()
	select {
	case code := <-term.ended:
		if code != 0 {
			term.t.Errorf("top ended with %d", code)
		}
		term.ended <- code
	case <-time.After(30 * time.Second):
		term.t.Fatalf("top does not end:\n%s", term.text())
	}
}

func TestTopStartsStopsAndFreezesOnlyAfterAYes(t *testing.T) {
	w, line := newWorld(t)
	term := newTerminal(t, 80, 24, true, w.args()...)
	term.shows("cluster prod", "> orders", "shop/web", "2/2", "q quit")
	term.press("x")
	term.shows("stop orders? y: do it")
	term.press("n")
	term.shows("stop orders: left as it is")
	if _, out, _ := line("status", "orders"); !strings.Contains(out, "orders  up") {
		t.Fatalf("a no stopped it:\n%s", out)
	}
	term.press("x")
	term.shows("stop orders? y: do it")
	term.press("y")
	term.shows("stop orders: accepted")
	term.await(func(screen string) string {
		if !strings.Contains(rowOf(screen, "orders"), "down") {
			return "orders is not down"
		}
		return ""
	})
	term.press("s")
	term.shows("start orders?")
	term.press("y")
	term.await(func(screen string) string {
		if !strings.Contains(rowOf(screen, "orders"), " up ") {
			return "orders is not up"
		}
		return ""
	})
	term.press("f")
	term.shows("freeze orders? reason")
	term.press("patching\x7f\x7f\x7f\x7fed\r") // two letters are taken back and put again
	term.shows("frozen")
	if s := w.view("orders"); s.Frozen == nil || s.Frozen.Reason != "patced" {
		t.Fatalf("frozen with %+v", s.Frozen)
	}
	term.press("f")
	term.shows("thaw orders?")
	term.press("y")
	term.await(func(string) string {
		if w.view("orders").Frozen != nil {
			return "still frozen, and no thaw"
		}
		return ""
	})
	term.press("q")
	term.quits()
}

func rowOf(screen, name string) string {
	for line := range strings.Lines(screen) {
		if strings.Contains(line, " "+name+" ") {
			return line
		}
	}
	return ""
}

func TestTopOpensAServiceItsLogAndTheEvents(t *testing.T) {
	w, _ := newWorld(t)
	term := newTerminal(t, 80, 24, false, w.args()...)
	term.shows("> orders")
	term.press("\r")
	term.shows("> app.data", "app.main")
	term.press("j")
	term.shows("> app.main")
	term.press("\r")
	term.shows("LOG of orders/app.main", "hello", "world", "the log has ended")
	term.press("\x1b")
	term.shows("> app.main")
	term.press("r")
	term.shows("restart orders/app.main?")
	term.press("y")
	term.shows("restart orders/app.main: accepted")
	term.press("e")
	term.shows("EVENTS", "restart app.main by")
	w.step(engine.Command{Verb: engine.CommandStop, Services: []string{"orders"}, Resources: []string{"app.main"}, By: "another"})
	term.shows("stop app.main by another") // followed as it happens
	term.press("\x1b")
	term.shows("> app.main")
	term.press("?")
	term.shows("KEYS", "freeze the service")
	term.press("q")
	term.quits()
	term.mu.Lock()
	defer term.mu.Unlock()
	if raw := term.raw.String(); strings.Contains(raw, "\x1b[31m") || strings.Contains(raw, "\x1b[2m") {
		t.Error("colours on a terminal that wants none")
	}
}

func TestWhatIsPastedIntoTopIsTextAndNeverACommand(t *testing.T) {
	w, _ := newWorld(t)
	term := newTerminal(t, 80, 24, true, w.args()...)
	term.shows("> orders")
	term.press("\x1b[200~jxy\x1b[201~e")
	term.shows("EVENTS")
	term.press("\x1b")
	term.shows("> orders", "q quit")
	term.press("x")
	term.shows("stop orders? y: do it")
	term.press("\x1b[200~y\x1b[201~n")
	term.shows("stop orders: left as it is")
	term.press("f\x1b[200~new disk\n\x1b[201~\x7f")
	term.shows("freeze orders? reason (enter: do it, esc: leave it): new dis_")
	term.press("\x1b")
	term.shows("freeze orders: left as it is")
	term.press("/\x1b[200~shop\x1b[201~")
	term.shows("/shop_", "> shop/web")
	term.press("\x15 \r") // ctrl+u
	term.shows("only with \" \" in the name")
	term.press("q")
	term.quits()
	if v := w.view("orders"); v.Frozen != nil {
		t.Error("a paste froze it")
	}
}

func TestTopRunsATaskAndEndsIt(t *testing.T) {
	w, line := newWorldOf(t, withTasks)
	w.mu.Lock()
	w.held["stop orders/task.report"] = true // the run goes on until it is told to end
	w.mu.Unlock()
	term := newTerminal(t, 80, 24, true, w.args()...)
	term.shows("> orders")
	term.press("\r")
	term.shows("> app.main", "task.backup", "next ", "task.report")
	term.press("G")
	term.shows("> task.report")
	term.press("r")
	term.shows("a task is run by s and ended by x")
	term.press("s")
	term.shows("run orders/task.report? y: do it")
	term.press("y")
	term.await(func(screen string) string {
		if !strings.Contains(rowOf(screen, "task.report"), "running") {
			return "the task does not run"
		}
		return ""
	})
	term.press("x")
	term.shows("halt orders/task.report? y: do it")
	term.press("y")
	term.shows("stopping")
	term.press("q")
	term.quits()
	if _, out, _ := line("task", "list"); !strings.Contains(out, "orders/task.report  stopping") {
		t.Errorf("the run was not ended:\n%s", out)
	}
}

func TestTopFitsTheTerminalAlsoAfterItIsMadeSmaller(t *testing.T) {
	w, _ := newWorld(t)
	term := newTerminal(t, 80, 24, true, w.args()...)
	screen := term.shows("> orders", "q quit")
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	if len(lines) != 24 || !strings.HasPrefix(lines[0], "cluster prod") || !strings.Contains(lines[23], "q quit") {
		t.Errorf("head and keys are not the first and the last of 24 lines:\n%s", screen)
	}
	term.press("/shop\r")
	term.await(func(screen string) string {
		if strings.Contains(screen, "orders") || !strings.Contains(screen, "> shop/web") {
			return "not only shop/web"
		}
		return ""
	})
	term.press("\x1b")
	term.shows("> orders")
	term.mu.Lock()
	term.screen.Resize(50, 10)
	term.mu.Unlock()
	if err := pty.Setsize(term.keys, &pty.Winsize{Rows: 10, Cols: 50}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil { // as the kernel tells whom the terminal belongs to
		t.Fatal(err)
	}
	screen = term.shows("…") // the keys do not fit any more
	for line := range strings.Lines(screen) {
		if n := len([]rune(strings.TrimRight(line, " \n"))); n > 50 {
			t.Errorf("%d columns of 50: %q", n, line)
		}
	}
	term.press("q")
	term.quits()
}

func TestTopSaysWhenTheAgentIsGoneAndGoesOn(t *testing.T) {
	w, _ := newWorld(t)
	term := newTerminal(t, 80, 24, true, w.args()...)
	term.shows("> orders")
	w.close()
	term.shows("what is shown is old", "> orders")
	w.serve()
	term.await(func(screen string) string {
		if strings.Contains(screen, "what is shown is old") {
			return "still old, and not what is new,"
		}
		return ""
	})
	term.press("q")
	term.quits()
}

func TestTopDoesNotWaitLongForAnAgentThatHangs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	term := newTerminal(t, 80, 24, true, "--server", "unix://"+socket)
	select {
	case code := <-term.ended:
		if code != exitNoAgent {
			t.Errorf("exit %d", code)
		}
	case <-time.After(2 * topPatience):
		t.Error("it still waits")
	}
}

func TestTopWithoutATerminalIsAMistakeOfUse(t *testing.T) {
	_, line := newWorld(t)
	if code, _, stderr := line("top"); code != exitUsage || !strings.Contains(stderr, "no terminal") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

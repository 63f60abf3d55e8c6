package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/spec"
)

func (p *program) topCommand() *cobra.Command {
	return &cobra.Command{
		Use: "top", Short: "Watch services on the terminal, and start, stop, restart or freeze them by keys",
		Long: "Watch services on the terminal, and start, stop, restart or freeze them by keys.\n\n" +
			"Every change asks first. The key ? shows all keys.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runTop(cmd.Context()) },
	}
}

func (p *program) runTop(ctx context.Context) error {
	out, isFile := p.out.(*output).to.(*os.File)
	if !isFile || !term.IsTerminal(int(out.Fd())) {
		return usage("cannot show top: the output is no terminal (svcctl status and svcctl events write lines)")
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	first, stop := context.WithTimeout(ctx, topPatience) // the screen is empty until then
	_, err = c.Status(first)
	stop()
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return fmt.Errorf("%w at %s within %s (it may hang: its log says why)", api.ErrNoAgent, p.server, topPatience)
	case err != nil:
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &feeder{ctx: ctx, client: c}
	t := tea.NewProgram(newTop(p.streams, c, f), tea.WithContext(ctx), tea.WithInput(p.in), tea.WithOutput(out),
		tea.WithColorProfile(colorprofile.ANSI), tea.WithFPS(20), tea.WithoutSignalHandler()) // paint says whether there are colours
	f.send = t.Send
	f.events()
	_, err = t.Run()
	cancel()
	f.running.Wait()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled) {
		return nil // ended by a signal, as by the key
	}
	return err
}

// feeder reads streams of the agent and sends what they say to the screen. Its
// goroutines end with ctx.
type feeder struct {
	ctx     context.Context
	client  *api.Client
	send    func(tea.Msg)
	running sync.WaitGroup
	endLog  context.CancelFunc // of the log that is shown
}

// What a feeder sends.
type (
	eventMsg struct{ event api.Event }
	holeMsg  struct{ err error } // events are missing
	lostMsg  struct{ err error } // the event stream broke
	lineMsg  struct {
		address spec.Address
		text    string
	}
	logEndMsg struct {
		address spec.Address
		err     error
	}
)

const (
	reconnectFirst = 500 * time.Millisecond
	reconnectMost  = 5 * time.Second
	topLogLines    = 200
)

// events follows what happens, over restarts of the agent too.
func (f *feeder) events() {
	f.running.Go(func() {
		since, wait := uint64(1), reconnectFirst // from the oldest that is kept
		for f.ctx.Err() == nil {
			stream, err := f.client.Events(f.ctx, api.EventOptions{Since: since, Follow: true})
			if err == nil {
				wait = reconnectFirst
				err = f.read(stream)
				since = max(since, stream.Position)
				stream.Close()
			}
			if f.ctx.Err() != nil {
				return
			}
			f.send(lostMsg{err})
			select {
			case <-f.ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, reconnectMost)
		}
	})
}

func (f *feeder) read(stream *api.Events) error {
	for {
		e, err := stream.Next()
		switch {
		case api.Missed(err):
			f.send(holeMsg{err})
		case err != nil:
			return err
		default:
			f.send(eventMsg{e})
		}
	}
}

// log follows the output of a resource instead of the one before.
func (f *feeder) log(a spec.Address) {
	f.noLog()
	ctx, cancel := context.WithCancel(f.ctx)
	f.endLog = cancel
	f.running.Go(func() {
		body, err := f.client.Logs(ctx, a, topLogLines, true)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { _ = body.Close() })
			lines := bufio.NewReaderSize(body, 64<<10)
			for err == nil {
				var line []byte
				if line, _, err = lines.ReadLine(); err == nil {
					f.send(lineMsg{a, string(line)})
				}
			}
			stop()
			_ = body.Close() // only read from
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if ctx.Err() == nil {
			f.send(logEndMsg{a, err})
		}
	})
}

func (f *feeder) noLog() {
	if f.endLog != nil {
		f.endLog()
		f.endLog = nil
	}
}

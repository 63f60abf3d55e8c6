package container

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// maxLine bounds a line of output; what is longer is cut into pieces.
const maxLine = 64 << 10

// Logs implements drivers.Logger. A followed container may end and begin again.
func (d *driver) Logs(ctx context.Context, lines int, follow bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		again := make(chan struct{}, 1)
		if follow {
			defer d.socket.listen(&subscription{
				address: string(d.opening.Address),
				happened: func(e events.Message) {
					if e.Action == events.ActionStart {
						poke(again)
					}
				},
				look: func(context.Context) { poke(again) }, lost: func() {},
			})()
		}
		var told place
		for {
			if !d.readLogs(ctx, &told, lines, follow, yield) || !follow {
				return
			}
			// Events tell when it goes on; the timer is the net below, for an engine that
			// ended the log of a container which runs.
			net := time.NewTimer(d.socket.lookFor)
			select {
			case <-again:
			case <-net.C:
			case <-ctx.Done():
			}
			net.Stop()
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// place is how far a log was told. Its time alone does not say: Podman before 6 writes
// whole seconds, in which one run can end and the next begin.
type place struct {
	container string // "": none was there yet
	at        time.Time
	lines     int // told that bear this time
}

// take notes a line that is told.
func (p *place) take(at time.Time) {
	if at.After(p.at) {
		p.at, p.lines = at, 0
	}
	if at.Equal(p.at) {
		p.lines++
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readLogs yields what the container says behind a place, and moves it, until the engine
// ends the log. It answers false when no more is wanted. Where the first lines are not
// all that bear one time, they may be told twice; none is left out.
func (d *driver) readLogs(ctx context.Context, told *place, lines int, follow bool, yield func(string, error) bool) bool {
	c := d.cfg()
	asked, cancel := context.WithTimeout(ctx, d.socket.lookFor) // an engine may hang
	is, err := d.find(asked, c)
	cancel()
	if !follow {
		ctx, cancel = context.WithTimeout(ctx, 4*d.socket.lookFor)
		defer cancel()
	}
	if err == nil && is == nil {
		return true
	}
	var body io.ReadCloser
	before := *told
	if err == nil {
		if before.container != is.ID { // it has another log, all of which is new
			before = place{container: is.ID}
		}
		tail := "all"
		if told.container == "" {
			tail = strconv.Itoa(lines)
		}
		body, err = d.socket.client.ContainerLogs(ctx, is.ID, client.ContainerLogsOptions{
			ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow, Since: before.since(), Tail: tail})
	}
	if err != nil {
		if ctx.Err() != nil {
			return false
		}
		err = d.explain(ctx, c, "read the log of", err)
		if strings.Contains(err.Error(), "does not support reading") {
			err = fmt.Errorf("%w (take log_driver = \"local\", or read it where the driver sends it)", err)
		}
		return yield("", err)
	}
	defer body.Close()
	*told = before
	for line, at := range demultiplex(body) {
		switch {
		case at.IsZero(): // nobody knows when
		case at.Before(before.at):
			continue
		case at.Equal(before.at) && before.lines > 0:
			before.lines--
			continue
		default:
			told.take(at)
		}
		if !yield(line, nil) {
			return false
		}
	}
	return ctx.Err() == nil
}

// since is what an engine is asked for: all lines of that time. Podman leaves out one of
// exactly the time that it is asked for, of which it reads the whole seconds.
func (p *place) since() string {
	if p.at.IsZero() {
		return ""
	}
	return p.at.Add(-time.Nanosecond).Format(time.RFC3339Nano)
}

// demultiplex reads the engine's stream: frames of a header of eight bytes, the first
// of which is 1 for stdout and 2 for stderr, the last four the length of what follows.
// Each line begins with the time at which it was written, which all its pieces get.
func demultiplex(r io.Reader) iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		in := bufio.NewReader(r)
		var open [3][]byte    // by stream: a line that is not complete
		var cut [3]*time.Time // the time of the line whose further pieces it is, nil: a line of its own
		emit := func(stream int, whole bool) bool {
			text := string(open[stream])
			at := cut[stream]
			if at == nil {
				stamp, rest, _ := strings.Cut(text, " ")
				parsed, err := time.Parse(time.RFC3339Nano, stamp)
				if err == nil {
					text = rest
				}
				at = &parsed // zero where there is none
			}
			if cut[stream] = at; whole {
				cut[stream] = nil
			}
			open[stream] = open[stream][:0]
			return yield(strings.TrimSuffix(strings.ToValidUTF8(text, "\uFFFD"), "\r"), *at)
		}
		var header [8]byte
		piece := make([]byte, 4096)
		for {
			if _, err := io.ReadFull(in, header[:]); err != nil {
				break
			}
			stream := int(header[0]) % len(open)
			for left := int(binary.BigEndian.Uint32(header[4:])); left > 0; {
				n, err := in.Read(piece[:min(left, len(piece))])
				left -= n
				for _, b := range piece[:n] {
					if b != '\n' && len(open[stream]) < maxLine {
						open[stream] = append(open[stream], b)
						continue
					}
					if !emit(stream, b == '\n') {
						return
					}
					if b != '\n' {
						open[stream] = append(open[stream], b)
					}
				}
				if err != nil {
					left = 0
				}
			}
		}
		for stream, line := range open {
			if len(line) > 0 && !emit(stream, true) {
				return
			}
		}
	}
}

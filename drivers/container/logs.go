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
		var told time.Time // up to here
		tail := strconv.Itoa(lines)
		for {
			last, found, ok := d.readLogs(ctx, told, tail, follow, yield)
			if !ok || !follow {
				return
			}
			if found {
				tail = "all"
			}
			if last.After(told) {
				told = last
			}
			select {
			case <-again:
			case <-ctx.Done():
				return
			}
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readLogs yields what one run of the container says behind a time: Podman's own filter
// looks at whole seconds only. ok is false when no more is wanted.
func (d *driver) readLogs(ctx context.Context, told time.Time, tail string, follow bool, yield func(string, error) bool) (last time.Time, found, ok bool) {
	c := d.cfg()
	asked, cancel := context.WithTimeout(ctx, d.socket.lookFor) // an engine may hang
	is, err := d.find(asked, c)
	cancel()
	if !follow {
		ctx, cancel = context.WithTimeout(ctx, 4*d.socket.lookFor)
		defer cancel()
	}
	if err == nil && is == nil {
		return last, false, true
	}
	var body io.ReadCloser
	since := ""
	if !told.IsZero() {
		since = told.Format(time.RFC3339Nano)
	}
	if err == nil {
		body, err = d.socket.client.ContainerLogs(ctx, is.ID, client.ContainerLogsOptions{
			ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow, Since: since, Tail: tail})
	}
	if err != nil {
		if ctx.Err() == nil {
			err = d.explain(ctx, c, "read the log of", err)
			if strings.Contains(err.Error(), "does not support reading") {
				err = fmt.Errorf("%w (take log_driver = \"local\", or read it where the driver sends it)", err)
			}
			return last, true, yield("", err) && follow
		}
		return last, true, false
	}
	defer body.Close()
	for line, at := range demultiplex(body) {
		if !at.IsZero() && !at.After(told) {
			continue
		}
		if at.After(last) {
			last = at
		}
		if !yield(line, nil) {
			return last, true, false
		}
	}
	return last, true, ctx.Err() == nil
}

// demultiplex reads the engine's stream: frames of a header of eight bytes, the first
// of which is 1 for stdout and 2 for stderr, the last four the length of what follows.
// Each line begins with the time at which it was written.
func demultiplex(r io.Reader) iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		in := bufio.NewReader(r)
		var open [3][]byte // by stream: a line that is not complete
		emit := func(line []byte) bool {
			stamp, text, _ := strings.Cut(string(line), " ")
			at, err := time.Parse(time.RFC3339Nano, stamp)
			if err != nil {
				text = string(line)
			}
			return yield(strings.TrimSuffix(strings.ToValidUTF8(text, "\uFFFD"), "\r"), at)
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
					if !emit(open[stream]) {
						return
					}
					open[stream] = open[stream][:0]
					if b != '\n' {
						open[stream] = append(open[stream], b)
					}
				}
				if err != nil {
					left = 0
				}
			}
		}
		for _, line := range open {
			if len(line) > 0 && !emit(line) {
				return
			}
		}
	}
}

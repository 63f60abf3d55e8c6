package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxEvent bounds one event that a client reads.
const maxEvent = 1 << 20

// silence is how long a stream may be silent, heartbeats included, before the agent
// counts as gone.
const silence = time.Minute

// Events is an open event stream. Not safe for concurrent use.
type Events struct {
	Position uint64 // of the last event read: where to resume
	body     io.ReadCloser
	lines    *bufio.Scanner
	quiet    *time.Timer
	cancel   context.CancelFunc
}

// EventOptions choose events.
type EventOptions struct {
	Since    uint64 // 0: with Follow only what is to come, else all that is kept
	Follow   bool
	Services []string // full names; none: all
}

// Events opens the stream. It returns once the agent has it open: nothing that
// happens from then on is missed.
func (c *Client) Events(ctx context.Context, o EventOptions) (*Events, error) {
	ctx, cancel := context.WithCancel(ctx)
	header := http.Header{}
	if o.Since > 0 {
		header.Set("Last-Event-ID", strconv.FormatUint(o.Since, 10))
	}
	resp, err := c.send(ctx, http.MethodGet, "/v1/events", eventQuery(o.Follow, o.Services), header, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	e := &Events{body: resp.Body, lines: bufio.NewScanner(resp.Body), quiet: time.AfterFunc(silence, cancel), cancel: cancel}
	e.lines.Buffer(nil, maxEvent)
	return e, nil
}

// Close ends the stream.
func (e *Events) Close() {
	e.quiet.Stop()
	e.cancel()
	_ = e.body.Close() // only read from
}

// LostEvents says that a stream has a hole, or ended for a reason other than the
// connection.
type LostEvents struct {
	Kind string // missed, dropped or closed
	Lost
}

// Error implements error.
func (l *LostEvents) Error() string {
	if l.Events > 0 {
		return fmt.Sprintf("%d events %s: %s", l.Events, l.Kind, l.Message)
	}
	return "events " + l.Kind + ": " + l.Message
}

// Next returns the next event. A *LostEvents of the kind "missed" is followed by
// more; any other error ends the stream, io.EOF being its regular end.
func (e *Events) Next() (Event, error) {
	kind := ""
	for e.lines.Scan() {
		e.quiet.Reset(silence)
		switch field, value := trimField(e.lines.Text()); field {
		case "event":
			kind = value
		case "id":
			if id, err := strconv.ParseUint(value, 10, 64); err == nil {
				e.Position = id
			}
		case "data":
			return decodeEvent(kind, value)
		}
	}
	if err := e.lines.Err(); err != nil {
		return Event{}, fmt.Errorf("the event stream broke: %w (connect again)", err)
	}
	return Event{}, io.EOF
}

func decodeEvent(kind, data string) (Event, error) {
	switch kind {
	case eventMissed, eventDropped, eventClosed:
		lost := &LostEvents{Kind: kind}
		if err := json.Unmarshal([]byte(data), &lost.Lost); err != nil {
			return Event{}, fmt.Errorf("cannot read an event: %w", err)
		}
		return Event{}, lost
	}
	var event Event
	if err := json.Unmarshal([]byte(data), &event); err != nil {
		return Event{}, fmt.Errorf("cannot read an event: %w (do the versions of client and agent differ?)", err)
	}
	return event, nil
}

// Missed reports whether err only says that older events are gone.
func Missed(err error) bool {
	var lost *LostEvents
	return errors.As(err, &lost) && lost.Kind == eventMissed
}

// eventQuery is the query of an event stream.
func eventQuery(follow bool, services []string) url.Values {
	q := url.Values{"service": services}
	if !follow {
		q.Set("follow", "false")
	}
	return q
}

// trimField splits a line of an event stream into its field and value.
func trimField(line string) (field, value string) {
	field, value, _ = strings.Cut(line, ":")
	return field, strings.TrimPrefix(value, " ")
}

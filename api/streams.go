package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// streams counts what is open.
type streams struct{ open atomic.Int64 }

func (s *streams) enter() bool {
	if s.open.Add(1) > maxStreams {
		s.open.Add(-1)
		return false
	}
	return true
}

func (s *streams) leave() { s.open.Add(-1) }

// stream bounds how many streams are open at once.
func (s *Server) stream(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		of := &s.reading
		if peerOf(r.Context()).mayAct() {
			of = &s.acting
		}
		if !of.enter() {
			w.Header().Set("Retry-After", "5")
			writeProblem(w, problem(http.StatusServiceUnavailable, "%d streams are open already (close one, or try again later)", maxStreams))
			return
		}
		defer of.leave()
		// The server's limit on reading a request would end a stream that is open for longer.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		f(w, r)
	}
}

// The last events of a stream that can't go on as it was.
const (
	eventMissed  = "missed"  // events behind the position asked for are gone; the stream goes on
	eventDropped = "dropped" // the reader was too slow; the stream ends
	eventClosed  = "closed"  // the agent ends; the stream ends
)

// Lost is the data of a missed, dropped or closed event.
type Lost struct {
	Events  uint64 `json:"events,omitempty"`
	Message string `json:"message"`
}

// events sends the history as server-sent events: from Last-Event-ID or ?since= on,
// else only what is to come. With ?follow=false the stream ends where the present is;
// without a position it then begins with the oldest event kept.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	follow := query.Get("follow") != "false"
	at := r.Header.Get("Last-Event-ID")
	if at == "" {
		at = query.Get("since")
	}
	resumed := at != ""
	since, err := strconv.ParseUint(at, 10, 64)
	switch {
	case resumed && err != nil:
		writeProblem(w, problem(http.StatusBadRequest, "cannot resume at %q: it is not the ID of an event", at))
		return
	case !resumed && follow:
		since = s.Feed.Last()
	}
	wanted := make(map[string]bool)
	for _, name := range query["service"] {
		wanted[normalName(name)] = true
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &sse{w: w, c: http.NewResponseController(w)}
	// The first comment carries the position, so that a client which got no event yet
	// can resume without a gap.
	out.write(fmt.Sprintf(": at %d\nid: %d\n\n", since, since))
	out.flush()
	s.follow(r, out, since, resumed, follow, wanted)
}

func (s *Server) follow(r *http.Request, out *sse, since uint64, resumed, follow bool, wanted map[string]bool) {
	heartbeat := time.NewTicker(s.Heartbeat)
	defer heartbeat.Stop()
	behind := resumed // the first read may be behind without being slow
	for first := true; out.err == nil; first = false {
		read := s.Feed.after(since, 256)
		switch {
		case read.missed == 0:
		case first && behind && since > 0:
			out.lost(eventMissed, Lost{read.missed, "these events are not kept any more"})
		case !first:
			out.lost(eventDropped, Lost{read.missed, "read too slowly: connect again with Last-Event-ID, or read faster"})
			return
		}
		for _, e := range read.events {
			since = e.ID
			if len(wanted) == 0 || e.Service == "" && e.Address == "" || wanted[e.Service] || wanted[e.Address.Service()] {
				out.event(e)
			}
		}
		out.flush()
		switch {
		case len(read.events) > 0:
			continue
		case !follow:
			return
		case read.more == nil:
			out.lost(eventClosed, Lost{Message: "the agent ends"})
			return
		}
		select {
		case <-read.more:
		case <-heartbeat.C:
			out.write(": heartbeat\n\n")
			out.flush()
		case <-r.Context().Done():
			return
		}
	}
}

// sse writes server-sent events; its first error ends everything.
type sse struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	err error
}

func (o *sse) write(text string) {
	if o.err != nil {
		return
	}
	// A refusal to set a deadline means a writer that has none, as in tests.
	_ = o.c.SetWriteDeadline(time.Now().Add(writeWithin))
	_, o.err = o.w.Write([]byte(text))
}

func (o *sse) flush() {
	if o.err == nil {
		o.err = o.c.Flush()
	}
}

func (o *sse) event(e Event) {
	doc, err := json.Marshal(e)
	if err != nil {
		o.err = err
		return
	}
	o.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, doc))
}

func (o *sse) lost(kind string, l Lost) {
	doc, err := json.Marshal(l)
	if err != nil {
		o.err = err
		return
	}
	o.write(fmt.Sprintf("event: %s\ndata: %s\n\n", kind, doc))
	o.flush()
}

// maxLogLines bounds what one request may ask for from before now.
const maxLogLines = 100_000

// logs sends the output of one resource as plain lines.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	address := spec.Address(normalName(query.Get("resource")))
	lines := 100
	if text := query.Get("lines"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLogLines {
			writeProblem(w, problem(http.StatusBadRequest, "cannot send %q lines (ask for 0 to %d)", text, maxLogLines))
			return
		}
		lines = n
	}
	if address.Service() == "" {
		writeProblem(w, problem(http.StatusBadRequest, "cannot send the log of %q: it is not a resource's address (such as web/app.main)", address))
		return
	}
	out := &sse{w: w, c: http.NewResponseController(w)}
	follow := query.Get("follow") == "true"
	started := false
	for line, err := range s.Agent.Logs(r.Context(), address, lines, follow) {
		if err != nil && !started {
			writeProblem(w, problemOf(err, http.StatusInternalServerError))
			return
		}
		if err != nil {
			out.write("svcctl: the log ends: " + err.Error() + "\n")
			break
		}
		if !started {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			started = true
		}
		out.write(strings.TrimSuffix(line, "\n") + "\n")
		if follow {
			out.flush()
		}
		if out.err != nil {
			return
		}
	}
	out.flush()
}

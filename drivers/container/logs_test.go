package container

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// scripted is an engine whose one container says what a test writes, at the times that
// the test writes: those of Podman before 6 are whole seconds, and what real machines
// put into one second depends on their speed.
type scripted struct {
	socket string

	mu     sync.Mutex
	id     string
	log    []said
	ended  chan struct{} // closed when the engine ends the logs that are followed
	events chan events.Message
}

type said struct {
	second int64
	text   string
}

func script(t *testing.T) *scripted {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng") // the path of a socket is short
	must(t, err)
	e := &scripted{socket: filepath.Join(dir, "sock"), id: "first", ended: make(chan struct{}), events: make(chan events.Message, 10)}
	l, err := net.Listen("unix", e.socket)
	must(t, err)
	s := &http.Server{Handler: http.HandlerFunc(e.answer)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // until it is closed
	}()
	t.Cleanup(func() {
		must(t, s.Close())
		<-done
		must(t, os.RemoveAll(dir))
	})
	return e
}

// says adds to the log of a container, which is a new one where its id is, and has the
// engine end what was followed up to then.
func (e *scripted) says(id string, lines ...said) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id != id {
		e.id, e.log = id, nil
	}
	e.log = append(e.log, lines...)
	close(e.ended)
	e.ended = make(chan struct{})
}

// tells that the container was started.
func (e *scripted) tells(id string) {
	e.events <- events.Message{Type: events.ContainerEventType, Action: events.ActionStart,
		Actor: events.Actor{ID: id, Attributes: map[string]string{labelAddress: "web/container.main"}}}
}

func (e *scripted) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	e.mu.Lock()
	id, log, ended := e.id, slices.Clone(e.log), e.ended
	e.mu.Unlock()
	say := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // who asked may be gone
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/_ping"):
	case strings.HasSuffix(path, "/containers/json"):
		say([]container.Summary{{ID: id}})
	case strings.HasSuffix(path, "/containers/"+id+"/json"):
		say(container.InspectResponse{ID: id, State: &container.State{Running: true}, Config: &container.Config{}, HostConfig: &container.HostConfig{}})
	case strings.HasSuffix(path, "/containers/"+id+"/logs"):
		since, _ := strconv.ParseFloat(r.URL.Query().Get("since"), 64) // none: 0
		for _, line := range log {
			if line.second >= int64(since) {
				writeFrame(w, time.Unix(line.second, 0).UTC().Format(time.RFC3339)+" "+line.text+"\n")
			}
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	case strings.HasSuffix(path, "/events"):
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case m := <-e.events:
				say(m)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		say(map[string]string{"message": "No such container"})
	}
}

func writeFrame(w http.ResponseWriter, text string) {
	header := [8]byte{1}
	binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
	_, _ = w.Write(append(header[:], text...)) // who asked may be gone
}

// followed gives what is told of a log, from its last ten lines on.
func followed(t *testing.T, d *driver) <-chan string {
	t.Helper()
	lines := make(chan string, 100)
	ctx := within(t)
	go func() {
		defer close(lines)
		for line, err := range d.Logs(ctx, 10, true) {
			if err == nil { // a machine that is slow is asked again
				lines <- line
			}
		}
	}()
	return lines
}

// wants takes lines until there are as many as are wanted.
func wants(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	var got []string
	for line := range lines {
		if got = append(got, line); len(got) == len(strings.Fields(want)) {
			break
		}
	}
	if all := strings.Join(got, " "); all != want {
		t.Fatalf("told is %q, want %q", all, want)
	}
}

func TestRunsOfOneSecondAreToldWholeAndOnce(t *testing.T) {
	e := script(t)
	d := open(t, &Config{Engine: "unix://" + e.socket})
	d.socket.lookFor = time.Hour // events alone wake it
	e.says("first", said{99, "zero"}, said{100, "one"}, said{100, "two"})
	lines := followed(t, d)
	wants(t, lines, "zero one two")
	e.says("first", said{100, "three"}, said{100, "four"}, said{101, "five"})
	e.tells("first")
	wants(t, lines, "three four five")
	e.says("first", said{101, "six"})
	e.tells("first")
	wants(t, lines, "six")
	e.says("second", said{101, "seven"}, said{101, "eight"}) // made anew: another log
	e.tells("second")
	wants(t, lines, "seven eight")
	e.says("second", said{102, "nine"})
	e.tells("second")
	wants(t, lines, "nine")
}

func TestALogThatTheEngineEndsWhileItRunsIsTakenUpAgain(t *testing.T) {
	e := script(t)
	d := open(t, &Config{Engine: "unix://" + e.socket})
	d.socket.lookFor = 200 * time.Millisecond
	e.says("first", said{100, "one"})
	lines := followed(t, d)
	wants(t, lines, "one")
	for _, next := range []string{"two", "three"} { // and no event says so
		e.says("first", said{100, next})
		wants(t, lines, next)
	}
}

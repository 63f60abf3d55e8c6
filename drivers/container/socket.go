package container

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	dockerSocket = "/run/docker.sock"
	podmanSocket = "/run/podman/podman.sock"

	retryFirst = 50 * time.Millisecond // before the event stream is opened again
	retryLast  = 2 * time.Second
	lookFor    = 5 * time.Second // a look at a container that takes longer means that the engine hangs
)

// host is what all containers of one agent share: a connection to each engine that is
// used, made when it is first needed.
type host struct {
	mu      sync.Mutex
	sockets map[string]*socket // by path and node
}

// socketFor returns the connection that a Config asks for, on behalf of a node.
func (h *host) socketFor(engine, node string) (*socket, error) {
	path, name, cure := "", "", ""
	docker := func() { path, name, cure = dockerSocket, "the Docker Engine", "systemctl status docker" }
	podman := func() { path, name, cure = podmanSocket, "Podman's service", "systemctl status podman.socket" }
	switch engine {
	case "docker":
		docker()
	case "podman":
		podman()
	case "":
		switch {
		case exists(dockerSocket):
			docker()
		case exists(podmanSocket):
			podman()
		default:
			return nil, fmt.Errorf("there is no container engine: neither %s nor %s is there (systemctl enable --now docker, or podman.socket; for another socket write engine = \"unix:///…\")", dockerSocket, podmanSocket)
		}
	default:
		path, name, cure = strings.TrimPrefix(engine, "unix://"), "the container engine", "does it run?"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sockets[path+" "+node]; s != nil {
		return s, nil
	}
	// It costs nothing before it is first used: no connection, no goroutine.
	c, err := client.New(client.WithHost("unix://"+path), client.WithHTTPHeaders(map[string]string{"User-Agent": "svcctl"}))
	if err != nil {
		return nil, fmt.Errorf("cannot use %s at %s: %w", name, path, err)
	}
	s := &socket{path: path, name: name, cure: cure, node: node, lookFor: lookFor, client: c, subs: make(map[*subscription]bool)}
	if h.sockets == nil {
		h.sockets = make(map[string]*socket)
	}
	h.sockets[path+" "+node] = s
	return s, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// socket is one engine, with the one stream of its events.
type socket struct {
	path, name, cure string
	node             string // whose containers are heard of
	lookFor          time.Duration
	client           *client.Client

	mu   sync.Mutex
	subs map[*subscription]bool
	stop context.CancelFunc // of the stream; nil while nobody listens
}

// subscription is one container's share of the events.
type subscription struct {
	address  string
	happened func(events.Message) // must return at once
	look     func(ctx context.Context)
	lost     func() // the stream broke: the engine may be gone

	// Owned by the stream's looker.
	mu    sync.Mutex
	stale bool
}

// listen lets s hear what happens to its container until the returned function is
// called. The first listener opens the stream, the last closes it.
func (s *socket) listen(sub *subscription) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[sub] = true
	if s.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.stop = cancel
		l := &listener{socket: s, wake: make(chan struct{}, 1)}
		go l.looker(ctx)
		go l.run(ctx)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, sub)
		if len(s.subs) == 0 && s.stop != nil {
			s.stop()
			s.stop = nil
		}
	}
}

func (s *socket) each(f func(*subscription)) {
	s.mu.Lock()
	var all []*subscription
	for sub := range s.subs {
		all = append(all, sub)
	}
	s.mu.Unlock()
	for _, sub := range all {
		f(sub)
	}
}

// listener is the life of one stream: two goroutines, ended by its context.
type listener struct {
	*socket
	wake chan struct{} // to the looker: something is stale
}

// run keeps the stream open. Whatever happened while it was not is looked at.
func (l *listener) run(ctx context.Context) {
	wait := retryFirst
	for ctx.Err() == nil {
		if l.stream(ctx) {
			wait = retryFirst
		}
		l.each(func(s *subscription) { s.lost() })
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		wait = min(2*wait, retryLast)
	}
}

// stream reads events until the stream breaks, and tells whether it ever was open.
func (l *listener) stream(ctx context.Context) (opened bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	asked, stop := context.WithTimeout(ctx, l.lookFor)
	_, err := l.client.Ping(asked, client.PingOptions{})
	stop()
	if err != nil {
		return false
	}
	l.each(func(s *subscription) { l.mark(s) })
	// Since before the look, so that nothing falls between.
	stream := l.client.Events(ctx, client.EventsListOptions{
		Since:   fmt.Sprintf("%d.%09d", begin.Unix(), begin.Nanosecond()),
		Filters: client.Filters{}.Add("type", "container").Add("label", labelNode+"="+l.node),
	})
	for {
		select {
		case e := <-stream.Messages:
			l.each(func(s *subscription) {
				if e.Actor.Attributes[labelAddress] == s.address {
					s.happened(e)
					if needsLook(e.Action) {
						l.mark(s)
					}
				}
			})
		case <-stream.Err:
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// needsLook: die, destroy and pause say all by themselves.
func needsLook(a events.Action) bool {
	switch {
	case a == events.ActionStart, a == events.ActionUnPause, a == events.ActionRename, a == events.ActionCreate,
		strings.HasPrefix(string(a), string(events.ActionHealthStatus)):
		return true
	default:
		return false
	}
}

func (l *listener) mark(s *subscription) {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// looker looks at what is stale, one at a time and apart from the stream, so that an
// engine that is slow to answer delays no event.
func (l *listener) looker(ctx context.Context) {
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		l.each(func(s *subscription) {
			s.mu.Lock()
			stale := s.stale
			s.stale = false
			s.mu.Unlock()
			if stale && ctx.Err() == nil {
				bounded, cancel := context.WithTimeout(ctx, l.lookFor)
				s.look(bounded)
				cancel()
			}
		})
	}
}

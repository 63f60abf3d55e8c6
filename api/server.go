package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// Bounds of one request.
const (
	maxCommandBody = 1 << 20
	maxApplyBody   = 64 << 20
	answerWithin   = 30 * time.Second // an agent's answer to anything but a stream
	writeWithin    = 10 * time.Second // one write to a client, of a stream too
	maxStreams     = 128              // open streams of each: those who may act, those who only read
)

// Server answers for one agent. The zero values of Metrics and Heartbeat are: no
// metrics, and 15 s.
type Server struct {
	Agent     Agent
	Feed      *Feed
	Metrics   http.Handler  // GET /metrics
	Heartbeat time.Duration // between comments on a quiet stream

	acting, reading streams
}

// Serve answers on l until ctx ends; then requests have two seconds to finish, and
// streams end. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, end := context.WithCancel(context.Background())
	defer end()
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*peerConn); ok {
				return context.WithValue(ctx, peerKey{}, c.peer)
			}
			return ctx
		},
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("the API on %s ended: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	end() // streams notice; Shutdown waits for them
	last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := h.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Close()
	}
	<-done
	return err
}

// Handler returns the routes, for a server of another kind and for tests.
func (s *Server) Handler() http.Handler {
	if s.Heartbeat == 0 {
		s.Heartbeat = 15 * time.Second
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /v1/status", answer(s.status))
	mux.HandleFunc("GET /v1/spec", answer(func(r *http.Request) (any, error) { return s.Agent.Spec(r.Context()) }))
	mux.HandleFunc("GET /v1/plan", s.acts(0, func(r *http.Request) (any, error) { return s.Agent.Plan(r.Context(), nil) }))
	mux.HandleFunc("POST /v1/plan", s.acts(maxApplyBody, s.plan))
	mux.HandleFunc("POST /v1/apply", s.acts(maxApplyBody, s.apply))
	mux.HandleFunc("POST /v1/services/{namespace}/{name}/{verb}", s.acts(maxCommandBody, s.command))
	mux.HandleFunc("POST /v1/command", s.acts(maxCommandBody, s.commandMany))
	mux.HandleFunc("GET /v1/tasks", answer(s.tasks))
	mux.HandleFunc("GET /v1/tasks/history", answer(s.taskHistory))
	mux.HandleFunc("POST /v1/tasks/run", s.acts(maxCommandBody, s.taskCommand(engine.CommandRun)))
	mux.HandleFunc("POST /v1/tasks/halt", s.acts(maxCommandBody, s.taskCommand(engine.CommandHalt)))
	mux.HandleFunc("POST /v1/node/shutdown", s.acts(maxCommandBody, s.node(s.Agent.ShutDown)))
	mux.HandleFunc("POST /v1/node/resume", s.acts(maxCommandBody, s.node(s.Agent.Resume)))
	mux.HandleFunc("GET /v1/events", s.stream(s.events))
	mux.HandleFunc("GET /v1/logs", s.trusted(s.stream(s.logs))) // programs write secrets into their output
	mux.HandleFunc("GET /health/{namespace}/{service}/{question}", s.health)
	if s.Metrics != nil {
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
			// A refusal to set a deadline means a writer that has none, as in tests.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
			s.Metrics.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, "there is no %s %s (do the versions of client and agent differ?)", r.Method, r.URL.Path))
	})
	return mux
}

// answer makes a handler of a function that returns a document.
func answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		// A refusal to set a deadline means a writer that has none, as in tests.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin + writeWithin))
		doc, err := f(r.WithContext(ctx))
		if err != nil {
			writeProblem(w, problemOf(err, http.StatusInternalServerError))
			return
		}
		writeJSON(w, doc)
	}
}

// acts is answer for those who may change something, with a body of limited size.
func (s *Server) acts(limit int64, f func(*http.Request) (any, error)) http.HandlerFunc {
	guarded := answer(f)
	return s.trusted(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		guarded(w, r)
	})
}

// trusted lets only root and the agent's own user pass.
func (s *Server) trusted(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p := peerOf(r.Context()); !p.mayAct() {
			writeProblem(w, problem(http.StatusForbidden, "%s may read the state only, not change it, nor read plans and logs (become root, or the user that the agent runs as)", p.name()))
			return
		}
		f(w, r)
	}
}

// decode reads a JSON body strictly: a misspelt field is a mistake, not a default.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil && !d.More():
		return nil
	case errors.Is(err, io.EOF): // no body: nothing asked for beyond the path
		return nil
	case errors.As(err, &tooLarge):
		return err
	case err == nil:
		err = errors.New("there is more behind the object")
	}
	return problem(http.StatusBadRequest, "cannot read the request: %v (send one JSON object)", err)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Agent.Snapshot(ctx); err != nil {
		writeProblem(w, problem(http.StatusServiceUnavailable, "the agent is not ready: %v", err))
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (s *Server) status(r *http.Request) (any, error) {
	position := s.Feed.Last() // before the snapshot, so that the snapshot has it all
	snap, err := s.Agent.Snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	declared, err := s.Agent.Spec(r.Context())
	if err != nil {
		return nil, err
	}
	measured, err := s.Agent.Measured(r.Context())
	if err != nil {
		return nil, err
	}
	doc := Render(snap, declared, Beside{s.Agent.Notices, measured}, wantedServices(r))
	doc.Position = position
	return doc, nil
}

// wantedServices chooses those that a request names; nil: it names none, and wants all.
func wantedServices(r *http.Request) func(*engine.ServiceView) bool {
	wanted := r.URL.Query()["service"]
	if len(wanted) == 0 {
		return nil
	}
	set := make(map[string]bool, len(wanted))
	for _, name := range wanted {
		set[normalName(name)] = true
	}
	return func(v *engine.ServiceView) bool { return set[v.FullName] }
}

// normalName takes the default namespace off a name that spells it out.
func normalName(name string) string {
	return strings.TrimPrefix(name, spec.DefaultNamespace+"/")
}

// CommandBody is what a command takes beyond its verb and its services.
type CommandBody struct {
	Services  []string  `json:"services,omitempty"`  // full names; POST /v1/command only
	Verb      string    `json:"verb,omitempty"`      // POST /v1/command only
	Resources []string  `json:"resources,omitempty"` // "kind.name" or addresses
	Tags      []string  `json:"tags,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Until     time.Time `json:"until,omitzero"` // end of a freeze
}

// Accepted is the answer to a command: it will be tried, it is not done.
type Accepted struct {
	Services []string `json:"services"`
}

var commandVerbs = []engine.CommandVerb{
	engine.CommandStart, engine.CommandStop, engine.CommandRestart, engine.CommandFreeze,
	engine.CommandThaw, engine.CommandClear, engine.CommandPurge,
}

func (s *Server) command(r *http.Request) (any, error) {
	var body CommandBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(body.Services) > 0 || body.Verb != "" {
		return nil, problem(http.StatusBadRequest, "cannot take services or a verb in the body: the path names them (use POST /v1/command)")
	}
	body.Services = []string{spec.FullName(r.PathValue("namespace"), r.PathValue("name"))}
	body.Verb = r.PathValue("verb")
	return s.accept(r, body)
}

func (s *Server) commandMany(r *http.Request) (any, error) {
	var body CommandBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return s.accept(r, body)
}

func (s *Server) accept(r *http.Request, body CommandBody) (any, error) {
	verb := engine.CommandVerb(body.Verb)
	if !slices.Contains(commandVerbs, verb) {
		return nil, problem(http.StatusNotFound, "there is no command %q (commands: %v)", body.Verb, commandVerbs)
	}
	if len(body.Services) == 0 {
		return nil, problem(http.StatusBadRequest, "cannot %s nothing: name services", verb)
	}
	snap, err := s.Agent.Snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(snap.Services))
	for _, v := range snap.Services {
		known[v.FullName] = true
	}
	for i, name := range body.Services {
		body.Services[i] = normalName(name)
		if !known[body.Services[i]] {
			return nil, problem(http.StatusNotFound, "cannot %s %s: there is no such service (`svcctl status` lists them)", verb, name)
		}
	}
	err = s.Agent.Command(r.Context(), engine.Command{
		Verb: verb, Services: body.Services, Resources: body.Resources, Tags: body.Tags,
		By: peerOf(r.Context()).name(), Reason: body.Reason, Until: body.Until,
	})
	if err != nil {
		return nil, problemOf(err, http.StatusUnprocessableEntity)
	}
	return Accepted{Services: body.Services}, nil
}

// node answers a wish about this node as a whole.
func (s *Server) node(wish func(ctx context.Context, by string) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if err := wish(r.Context(), peerOf(r.Context()).name()); err != nil {
			return nil, err
		}
		return Accepted{Services: []string{}}, nil
	}
}

// FilesBody carries a set of files: paths below the set's root, and their content.
type FilesBody struct {
	Files map[string][]byte `json:"files"`
	Prune bool              `json:"prune,omitempty"`
}

func (s *Server) apply(r *http.Request) (any, error) {
	var body FilesBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(body.Files) == 0 {
		return nil, problem(http.StatusBadRequest, "cannot apply an empty set (send at least one file)")
	}
	result, err := s.Agent.Apply(r.Context(), body.Files, ApplyOptions{Prune: body.Prune, By: peerOf(r.Context()).name()})
	if err != nil {
		return nil, problemOf(err, http.StatusConflict)
	}
	if !result.Applied {
		p := problem(http.StatusUnprocessableEntity, "cannot apply: the set has mistakes; what runs goes on")
		p.Findings = result.Findings
		return nil, p
	}
	return result, nil
}

func (s *Server) plan(r *http.Request) (any, error) {
	var body FilesBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return s.Agent.Plan(r.Context(), body.Files)
}

// health answers load balancers: 200 or 503, and nothing that costs.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	snap, err := s.Agent.Snapshot(ctx)
	if err != nil {
		writeProblem(w, problem(http.StatusServiceUnavailable, "the agent does not answer: %v", err))
		return
	}
	name := spec.FullName(r.PathValue("namespace"), r.PathValue("service"))
	v := snap.Service(name)
	question := r.PathValue("question")
	yes := false
	switch {
	case !slices.Contains([]string{"up", "active", "standby"}, question):
		writeProblem(w, problem(http.StatusNotFound, "there is no health question %q (ask up, active or standby)", question))
		return
	case v == nil:
		writeProblem(w, problem(http.StatusServiceUnavailable, "there is no service %s on this node", name))
		return
	case question == "up":
		yes = v.Available
	case question == "active":
		yes = v.Active && v.Available
	case question == "standby":
		yes = !v.Active && v.State == engine.InstanceStandby
	}
	if !yes {
		writeProblem(w, problem(http.StatusServiceUnavailable, "%s is not %s here: it is %s %s", name, question, v.State, v.Why))
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

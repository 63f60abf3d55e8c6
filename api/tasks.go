package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// TaskStatus is one task of an instance.
type TaskStatus struct {
	Address     spec.Address     `json:"address"`
	Kind        string           `json:"kind"`
	State       engine.TaskState `json:"state"`
	Schedule    string           `json:"schedule"` // as it was written; "": only when asked for
	Next        time.Time        `json:"next,omitzero"`
	Running     *engine.Run      `json:"running,omitempty"`
	Last        *engine.Run      `json:"last,omitempty"`
	LastSuccess time.Time        `json:"last_success,omitzero"`
	Why         string           `json:"why,omitempty"` // why it does not do more than it does
	Disabled    bool             `json:"disabled,omitempty"`
	Tags        []string         `json:"tags,omitempty"`
	After       []spec.Address   `json:"after,omitempty"`
	Notices     []string         `json:"notices,omitempty"` // what the host can't give it
}

// Tasks is the answer of GET /v1/tasks.
type Tasks struct {
	Position uint64       `json:"position"` // of the event stream: what was told up to here is in this document
	Tasks    []TaskStatus `json:"tasks"`
}

// TaskHistory is the answer of GET /v1/tasks/history.
type TaskHistory struct {
	Address spec.Address `json:"address"`
	Runs    []engine.Run `json:"runs"` // the newest first
}

// TasksBody names the tasks that a command is about.
type TasksBody struct {
	Addresses []spec.Address `json:"addresses"`
	Reason    string         `json:"reason,omitempty"`
}

// MaxTaskRuns is how many runs of a task are kept, and may be asked for.
const MaxTaskRuns = 100

func renderTask(v *engine.TaskView, beside *Beside) TaskStatus {
	t := TaskStatus{
		Address: v.Address, Kind: v.Kind, State: v.State, Schedule: v.Schedule, Next: v.Next, Running: v.Running, Last: v.Last,
		LastSuccess: v.LastSuccess, Why: v.Why, Disabled: v.Disabled, Tags: v.Tags, After: v.After,
	}
	if beside.Notices != nil {
		t.Notices = beside.Notices(v.Address)
	}
	return t
}

func (s *Server) tasks(r *http.Request) (any, error) {
	out := Tasks{Position: s.Feed.Last(), Tasks: []TaskStatus{}} // the position before the snapshot, which has it all
	snap, err := s.Agent.Snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	keep := wantedServices(r)
	for _, v := range snap.Services {
		if keep != nil && !keep(v) {
			continue
		}
		for i := range v.Tasks {
			out.Tasks = append(out.Tasks, renderTask(&v.Tasks[i], &Beside{Notices: s.Agent.Notices}))
		}
	}
	return out, nil
}

func (s *Server) taskHistory(r *http.Request) (any, error) {
	query := r.URL.Query()
	limit := MaxTaskRuns
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxTaskRuns {
			return nil, problem(http.StatusBadRequest, "cannot send %q runs (ask for 1 to %d)", text, MaxTaskRuns)
		}
		limit = n
	}
	addresses, _, err := s.knownTasks(r, "show", []spec.Address{spec.Address(query.Get("address"))})
	if err != nil {
		return nil, err
	}
	runs, err := s.Agent.History(r.Context(), addresses[0], limit)
	if err != nil {
		return nil, err
	}
	if runs == nil {
		runs = []engine.Run{}
	}
	return TaskHistory{Address: addresses[0], Runs: runs}, nil
}

func (s *Server) taskCommand(verb engine.CommandVerb) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var body TasksBody
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		if len(body.Addresses) == 0 {
			return nil, problem(http.StatusBadRequest, "cannot %s nothing: name tasks", verb)
		}
		addresses, services, err := s.knownTasks(r, string(verb), body.Addresses)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(addresses))
		for i, a := range addresses {
			names[i] = string(a)
		}
		err = s.Agent.Command(r.Context(), engine.Command{
			Verb: verb, Services: services, Resources: names, By: peerOf(r.Context()).name(), Reason: body.Reason,
		})
		if err != nil {
			return nil, problemOf(err, http.StatusUnprocessableEntity)
		}
		return TasksBody{Addresses: addresses}, nil
	}
}

// knownTasks returns the addresses as they are, and their services, each once.
func (s *Server) knownTasks(r *http.Request, verb string, asked []spec.Address) (addresses []spec.Address, services []string, err error) {
	snap, err := s.Agent.Snapshot(r.Context())
	if err != nil {
		return nil, nil, err
	}
	known := make(map[spec.Address]string)
	for _, v := range snap.Services {
		for i := range v.Tasks {
			known[v.Tasks[i].Address] = v.FullName
		}
	}
	for _, a := range asked {
		address := spec.Address(normalName(string(a)))
		service, ok := known[address]
		if !ok {
			return nil, nil, problem(http.StatusNotFound, "cannot %s %s: there is no such task (`svcctl task list` lists them)", verb, a)
		}
		addresses = append(addresses, address)
		services = append(services, service)
	}
	slices.Sort(services)
	return addresses, slices.Compact(services), nil
}

// Tasks asks for the tasks of the services with these full names; none means all.
func (c *Client) Tasks(ctx context.Context, services ...string) (*Tasks, error) {
	var t Tasks
	return &t, c.call(ctx, http.MethodGet, "/v1/tasks", url.Values{"service": services}, nil, &t)
}

// TaskHistory asks for the newest runs of a task.
func (c *Client) TaskHistory(ctx context.Context, task spec.Address, limit int) (*TaskHistory, error) {
	var h TaskHistory
	query := url.Values{"address": {string(task)}, "limit": {strconv.Itoa(limit)}}
	return &h, c.call(ctx, http.MethodGet, "/v1/tasks/history", query, nil, &h)
}

// RunTasks asks for a run of each task, now. An answer without an error is a promise to
// try, not that it has begun.
func (c *Client) RunTasks(ctx context.Context, body TasksBody) error {
	return c.call(ctx, http.MethodPost, "/v1/tasks/run", nil, body, &TasksBody{})
}

// HaltTasks asks for the end of the runs that go on.
func (c *Client) HaltTasks(ctx context.Context, body TasksBody) error {
	return c.call(ctx, http.MethodPost, "/v1/tasks/halt", nil, body, &TasksBody{})
}

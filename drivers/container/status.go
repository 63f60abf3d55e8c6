package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

// find returns the container that bears our labels, by its id where that is known; nil
// where there is none. The name alone never makes it ours.
func (d *driver) find(ctx context.Context, c *Config) (*container.InspectResponse, error) {
	d.mu.Lock()
	id := d.known.id
	d.mu.Unlock()
	for range 3 { // one that is removed between the two questions
		if id == "" {
			var err error
			if id, err = d.search(ctx, c); err != nil || id == "" {
				return nil, err
			}
		}
		found, err := d.socket.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err == nil && found.Container.State != nil && found.Container.Config != nil && found.Container.HostConfig != nil {
			return &found.Container, nil
		}
		if err == nil {
			return nil, errors.New("the engine tells no state of the container (is it of a version that svcctl knows?)")
		}
		if !notThere(err) {
			return nil, err
		}
		id = ""
	}
	return nil, nil
}

func (d *driver) search(ctx context.Context, c *Config) (string, error) {
	filters := client.Filters{}.Add("label", labelAddress+"="+string(d.opening.Address), labelNode+"="+d.opening.Node)
	list, err := d.socket.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return "", err
	}
	name := "/" + nameOf(d.opening, c)
	named := func(s container.Summary) int {
		if slices.Contains(s.Names, name) || slices.Contains(s.Names, name[1:]) {
			return 0
		}
		return 1 // renamed by hand, or a copy of one that bears the same labels
	}
	if len(list.Items) == 0 {
		return "", nil
	}
	return slices.MinFunc(list.Items, func(a, b container.Summary) int {
		return cmp.Or(named(a)-named(b), cmp.Compare(b.Created, a.Created))
	}).ID, nil
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	st, _, err := d.see(ctx)
	return st, err
}

// see asks the engine. fresh is false where something was heard while it answered.
func (d *driver) see(ctx context.Context) (st drivers.Status, fresh bool, err error) {
	c := d.cfg()
	d.mu.Lock()
	changes := d.known.changes
	d.mu.Unlock()
	asked, cancel := context.WithTimeout(ctx, d.socket.lookFor)
	defer cancel()
	is, err := d.find(asked, c)
	if err != nil {
		if unanswered(err) && ctx.Err() == nil {
			if st, ok := d.unasked(); ok {
				return st, true, nil
			}
			return st, true, d.socket.silent(err)
		}
		return st, true, d.explain(ctx, c, "look at", err)
	}
	st = d.judge(c, is)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known.changes != changes {
		return st, false, nil
	}
	d.known.belief = resting
	if is == nil {
		d.known.id, d.known.crash = "", false
		return st, true, nil
	}
	d.known.id, d.known.digest = is.ID, is.Config.Labels[labelDigest]
	d.known.pid, d.known.started = 0, ""
	if is.State.Running {
		d.known.belief, d.known.crash = running, false
		d.known.pid, d.known.started = is.State.Pid, startOf(is.State.Pid)
	}
	return st, true, nil
}

// unasked is what can be said while the engine is silent: its containers may well run.
func (d *driver) unasked() (drivers.Status, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	silent := d.socket.silent(nil).Error()
	switch {
	case d.known.belief != running || d.known.pid == 0:
		return drivers.Status{}, false
	case alive(d.known.pid, d.known.started):
		return drivers.Status{State: drivers.Up, PID: d.known.pid, Detail: silent + "; its main process goes on"}, true
	default:
		return drivers.Status{State: drivers.Down, Detail: silent + ", and its main process has ended"}, true
	}
}

func (d *driver) judge(c *Config, is *container.InspectResponse) drivers.Status {
	if is == nil {
		return drivers.Status{State: drivers.Down}
	}
	s := is.State
	if !s.Running {
		if s.Status == container.StateCreated || strings.HasPrefix(s.StartedAt, "0001-") {
			return drivers.Status{State: drivers.Down}
		}
		exit := exitOf(s.ExitCode)
		return drivers.Status{State: drivers.Down, Exit: exit, Detail: ended(exit, s.OOMKilled)}
	}
	st := drivers.Status{State: drivers.Up, PID: s.Pid}
	health, words := healthOf(s)
	switch {
	case is.Config.Labels[labelDigest] != d.digest(c):
		st.State, st.Detail = drivers.Failed, "runs with another configuration"
	case s.Paused:
		st.State, st.Detail = drivers.Begun, "is paused"
	case health == container.Unhealthy && c.Unhealthy == "restart":
		st.State, st.Detail = drivers.Failed, "the engine finds it unhealthy"+words
	case health == container.Unhealthy:
		st.Detail = "the engine finds it unhealthy" + words
	case health != container.Healthy && c.Ready == "healthy":
		st.State, st.Detail = drivers.Begun, "is not healthy yet"
	case otherLimits(c, is.HostConfig) != "":
		st.State, st.Detail = drivers.Begun, otherLimits(c, is.HostConfig)
	case strings.TrimPrefix(is.Name, "/") != nameOf(d.opening, c):
		st.Detail = "was renamed to " + strings.TrimPrefix(is.Name, "/")
	}
	return st
}

// otherLimits says which declared limit is not in force.
func otherLimits(c *Config, h *container.HostConfig) string {
	switch {
	case c.Memory > 0 && h.Memory != int64(c.Memory):
		return "has another memory limit"
	case c.CPU > 0 && h.NanoCPUs != nanoCPUs(c.CPU) && h.NanoCPUs != 0:
		return "has another cpu limit"
	case c.PIDs > 0 && (h.PidsLimit == nil || *h.PidsLimit != int64(c.PIDs)):
		return "has another limit of processes"
	}
	return ""
}

func healthOf(s *container.State) (container.HealthStatus, string) {
	if s.Health == nil || s.Health.Status == "" || s.Health.Status == container.NoHealthcheck {
		return container.NoHealthcheck, ""
	}
	words := ""
	if n := len(s.Health.Log); n > 0 {
		if text := strings.TrimSpace(s.Health.Log[n-1].Output); text != "" {
			if len(text) > 300 {
				text = text[:300] + "…" // where it was cut, maybe in the middle of a secret
			}
			words = "; its check says: " + strings.ToValidUTF8(text, "")
		}
	}
	return s.Health.Status, words
}

// exitOf reads a code as shells write it: 128 and the number of the signal.
func exitOf(code int) *drivers.Exit {
	if sig := syscall.Signal(code - 128); code > 128 && unix.SignalName(sig) != "" {
		return &drivers.Exit{Code: -1, Signal: unix.SignalName(sig)}
	}
	return &drivers.Exit{Code: code}
}

func ended(e *drivers.Exit, oom bool) string {
	how := fmt.Sprintf("exited with code %d", e.Code)
	if e.Signal != "" {
		how = "was ended by " + e.Signal
	}
	if oom {
		how += ", since it reached its memory limit (raise memory, or find the leak)"
	}
	return how
}

// awaitHealthy waits until the engine's health check passes.
func (d *driver) awaitHealthy(ctx context.Context, c *Config, id string) error {
	name := nameOf(d.opening, c)
	look := time.NewTicker(time.Second) // events tell; this is the net below
	defer look.Stop()
	for {
		found, err := d.socket.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return d.explain(ctx, c, "wait for the health of", err)
		}
		s := found.Container.State
		health, words := healthOf(s)
		switch {
		case s.Running && health == container.Healthy:
			return nil
		case !s.Running:
			return fmt.Errorf("cannot start container %s: it %s (see its log)", name, ended(exitOf(s.ExitCode), s.OOMKilled))
		case health == container.NoHealthcheck:
			return fmt.Errorf("cannot complete the start of container %s: nothing says when it is healthy (add a healthcheck block, or drop ready)", name)
		case health == container.Unhealthy && c.Unhealthy == "restart":
			return fmt.Errorf("cannot complete the start of container %s: it is unhealthy%s", name, words)
		}
		select {
		case <-d.happening:
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot complete the start of container %s: it runs, but is not healthy%s; see its log, or raise timeouts.start: %w", name, words, ctx.Err())
		}
	}
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (func(), error) {
	var mu sync.Mutex
	stopped := false
	tell := func(st drivers.Status) {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			changed(st)
		}
	}
	end := d.socket.listen(&subscription{
		address: string(d.opening.Address),
		happened: func(e events.Message) {
			if st, ok := d.hear(e); ok {
				tell(st)
			}
			poke(d.happening)
		},
		look: func(ctx context.Context) {
			if st, fresh, err := d.see(ctx); err == nil && fresh {
				tell(st)
			}
		},
		lost: func() {
			if st, ok := d.unasked(); ok {
				tell(st)
			}
		},
	})
	return func() {
		end()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}, nil
}

// hear takes in an event, and draws the conclusion where the event suffices: a restart
// waits for nothing else.
func (d *driver) hear(e events.Message) (st drivers.Status, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := &d.known
	if k.id == "" && e.Action == events.ActionStart {
		k.id = e.Actor.ID
	}
	if k.id != e.Actor.ID || time.Unix(0, e.TimeNano).Before(k.begun) {
		return st, false
	}
	switch e.Action {
	case events.ActionOOM:
		k.oom = true
		return st, false
	case events.ActionDie:
		code, err := strconv.Atoi(e.Actor.Attributes["exitCode"])
		if err != nil {
			return st, false // the slow look will tell
		}
		k.changes++
		k.belief, k.pid, k.started = resting, 0, ""
		k.crash, k.digest = true, e.Actor.Attributes[labelDigest]
		exit := exitOf(code)
		return drivers.Status{State: drivers.Down, Exit: exit, Detail: ended(exit, k.oom)}, true
	case events.ActionDestroy, events.ActionRemove:
		*k = memory{belief: resting, begun: k.begun, changes: k.changes + 1}
		return drivers.Status{State: drivers.Down, Detail: "was removed by hand"}, true
	case events.ActionPause:
		k.changes++
		return drivers.Status{State: drivers.Begun, PID: k.pid, Detail: "is paused"}, true
	default:
		return st, false
	}
}

// Package container runs a container by the API of Docker's or Podman's engine, and restarts it itself.
package container

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

//go:embed example.hcl
var example string

// Register adds kind container. Its level is guard: its process is a child of the
// engine, so that only what is told to look for it ends it.
func Register(r *drivers.Registry) {
	h := &host{}
	drivers.DefineKind(r, "container", "A container of Docker's or Podman's engine. svcctl restarts it, not the engine.",
		func(o drivers.Opening, c *Config) (drivers.Driver, error) {
			s, err := h.socketFor(c.Engine, o.Node)
			if err != nil {
				return nil, fmt.Errorf("cannot open %s: %w", o.Address, err)
			}
			return &driver{opening: o, socket: s, config: c, happening: make(chan struct{}, 1)}, nil
		}, drivers.WithLevel(spec.LevelGuard), drivers.WithExample(example))
}

// driver is one container. What it remembers only saves questions, or stands in for an
// engine that does not answer: where the engine does, its word is taken.
type driver struct {
	opening   drivers.Opening
	socket    *socket
	happening chan struct{} // something happened to it, for a start that waits

	mu      sync.Mutex
	config  *Config
	hashed  *Config // whose digest is kept
	hash    string
	known   memory
	notices []string
}

func (d *driver) cfg() *Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// digest is c's own, computed once.
func (d *driver) digest(c *Config) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hashed != c {
		d.hashed, d.hash = c, c.digest()
	}
	return d.hash
}

// Start returns once the container runs and, where that is asked, is healthy. After a
// crash it is a single call to the engine.
func (d *driver) Start(ctx context.Context) error {
	c := d.cfg()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot start container %s: %w", nameOf(d.opening, c), err)
	}
	credentials, err := d.writeCredentials(c)
	if err != nil {
		return err
	}
	id, err := d.bring(ctx, c, credentials)
	if err != nil {
		return err
	}
	if c.Ready == "healthy" {
		return d.awaitHealthy(ctx, c, id)
	}
	return nil
}

// bring makes the container run, by the shortest way from what there is.
func (d *driver) bring(ctx context.Context, c *Config, credentials string) (id string, err error) {
	if id := d.crashed(d.digest(c)); id != "" {
		err := d.start(ctx, id)
		if err == nil {
			return id, nil
		}
		if !notThere(err) && !leaving(err) {
			return "", d.explain(ctx, c, "start", err)
		}
	}
	is, err := d.find(ctx, c)
	if err != nil {
		return "", d.explain(ctx, c, "look for", err)
	}
	if is != nil {
		keep, err := d.usable(ctx, c, is)
		if err != nil {
			return "", err
		}
		if keep {
			return is.ID, d.resume(ctx, c, is)
		}
		if err := d.remove(ctx, c, is); err != nil {
			return "", d.explain(ctx, c, "replace", err)
		}
	}
	if id, err = d.create(ctx, c, credentials); err != nil {
		return "", err
	}
	if err := d.start(ctx, id); err != nil {
		return "", d.explain(ctx, c, "start", err)
	}
	return id, nil
}

// usable tells whether the container that there is, is the one that is declared, made
// from the image that its name means now. What runs is not asked for its image.
func (d *driver) usable(ctx context.Context, c *Config, is *container.InspectResponse) (bool, error) {
	if is.Config.Labels[labelDigest] != d.digest(c) || is.State.Dead || is.State.Status == container.StateRemoving {
		return false, nil
	}
	if is.State.Running {
		return true, nil
	}
	if c.Pull == "always" {
		if err := d.pull(ctx, c); err != nil {
			return false, err
		}
	}
	now, err := d.imageID(ctx, c)
	if err != nil {
		return false, err
	}
	return now == "" || now == bareID(is.Image), nil
}

// resume lets a container that exists run, with the limits that are declared.
func (d *driver) resume(ctx context.Context, c *Config, is *container.InspectResponse) error {
	if what := otherLimits(c, is.HostConfig); what != "" {
		if err := d.limit(ctx, c, is); err != nil {
			return err
		}
	}
	if is.State.Paused {
		if _, err := d.socket.client.ContainerUnpause(ctx, is.ID, client.ContainerUnpauseOptions{}); err != nil {
			return d.explain(ctx, c, "unpause", err)
		}
		return nil
	}
	if is.State.Running {
		return nil
	}
	if err := d.join(ctx, c, is.ID, is.NetworkSettings); err != nil {
		return err
	}
	if err := d.start(ctx, is.ID); err != nil {
		return d.explain(ctx, c, "start", err)
	}
	return nil
}

func (d *driver) create(ctx context.Context, c *Config, credentials string) (id string, err error) {
	if c.Pull == "always" {
		if err := d.pull(ctx, c); err != nil {
			return "", err
		}
	}
	r, err := request(d.opening, c, credentials)
	if err != nil {
		return "", err
	}
	for _, m := range r.HostConfig.Mounts {
		if m.Type == mount.TypeBind && !there(ctx, m.Source) {
			return "", fmt.Errorf("cannot create container %s: %s does not exist (is its mount up, and does this container come after it?)", r.Name, m.Source)
		}
	}
	made, err := d.socket.client.ContainerCreate(ctx, r)
	if cerrdefs.IsNotFound(err) {
		if id, ierr := d.imageID(ctx, c); ierr == nil && id == "" {
			if c.Pull == "never" {
				return "", fmt.Errorf("cannot create container %s: %w", r.Name, missing(c))
			}
			if err := d.pull(ctx, c); err != nil {
				return "", err
			}
			made, err = d.socket.client.ContainerCreate(ctx, r)
		}
	}
	if nameInUse(err) {
		made, err = d.nameTaken(ctx, c, r, err)
	}
	var foreign *taken
	if errors.As(err, &foreign) {
		return "", foreign
	}
	if err != nil {
		return "", d.explain(ctx, c, "create", err)
	}
	d.warned(made.Warnings)
	return made.ID, d.join(ctx, c, made.ID, nil)
}

// join connects a container that does not run to the networks that it lacks. It was made
// in the first, since older engines take only one at that time; the call that made it
// may have been cut short, or refused, before it was in all others.
func (d *driver) join(ctx context.Context, c *Config, id string, in *container.NetworkSettings) error {
	is := func(n string) bool {
		if in == nil {
			return false
		}
		for name, e := range in.Networks {
			if name == n || e != nil && len(n) >= 12 && strings.HasPrefix(e.NetworkID, n) {
				return true
			}
		}
		return false
	}
	for i, n := range c.Networks {
		if i == 0 || is(n) {
			continue
		}
		_, err := d.socket.client.NetworkConnect(ctx, n, client.NetworkConnectOptions{Container: id})
		if err != nil && !strings.Contains(err.Error(), "already") {
			return d.explain(ctx, c, "connect", err)
		}
	}
	return nil
}

// there looks for a path, which Podman would make where it is missing. On a file system
// that hangs it gives up with its context, and the engine is left to find out.
func there(ctx context.Context, path string) bool {
	found := make(chan bool, 1)
	go func() {
		_, err := os.Stat(path)
		found <- !errors.Is(err, fs.ErrNotExist)
	}()
	select {
	case is := <-found:
		return is
	case <-ctx.Done():
		return true
	}
}

// taken is the error for a name that another container has.
type taken struct{ text string }

func (e *taken) Error() string { return e.text }

// nameTaken says whose the name is. A call that was cut short may have reserved it for
// a container of ours that is still being made: that one is waited for, and replaced.
func (d *driver) nameTaken(ctx context.Context, c *Config, r client.ContainerCreateOptions, err error) (client.ContainerCreateResult, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(lookFor); nameInUse(err) && time.Now().Before(end); {
		other, ierr := d.socket.client.ContainerInspect(ctx, r.Name, client.ContainerInspectOptions{})
		switch is := other.Container; {
		case notThere(ierr):
		case ierr != nil:
			return client.ContainerCreateResult{}, ierr
		case is.Config == nil || is.State == nil || is.Config.Labels[labelAddress] == "":
			return client.ContainerCreateResult{}, &taken{fmt.Sprintf("cannot create container %s: container %.12s has that name and was not made by svcctl (rename or remove that one, or set name)", r.Name, is.ID)}
		case is.Config.Labels[labelAddress] != string(d.opening.Address) || is.Config.Labels[labelNode] != d.opening.Node:
			return client.ContainerCreateResult{}, &taken{fmt.Sprintf("cannot create container %s: container %.12s has that name and belongs to %s of node %s (set another name)", r.Name, is.ID, is.Config.Labels[labelAddress], is.Config.Labels[labelNode])}
		default:
			if rerr := d.remove(ctx, c, &is); rerr != nil {
				return client.ContainerCreateResult{}, rerr
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return client.ContainerCreateResult{}, ctx.Err()
		}
		var made client.ContainerCreateResult
		if made, err = d.socket.client.ContainerCreate(ctx, r); err == nil {
			return made, nil
		}
	}
	return client.ContainerCreateResult{}, err
}

// start is the one call that a restart costs.
func (d *driver) start(ctx context.Context, id string) error {
	begin := time.Now()
	before := d.attempts(id)
	_, err := d.socket.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
	// An engine that could not be reached was not asked anything.
	d.attempted(before, id, begin, err == nil, client.IsErrConnectionFailed(err))
	return err
}

// Stop returns once no process of the container is left.
func (d *driver) Stop(ctx context.Context) error {
	c := d.cfg()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot stop container %s: %w", nameOf(d.opening, c), err)
	}
	is, err := d.find(ctx, c)
	if err != nil {
		if unanswered(err) && d.surelyGone() {
			return nil // it is removed, or used again, once the engine is back
		}
		return d.explain(ctx, c, "stop", err)
	}
	d.notCrashed()
	if is == nil {
		d.forget()
		d.dropCredentials()
		return nil
	}
	if err := d.end(ctx, c, is); err != nil {
		return d.explain(ctx, c, "stop", err)
	}
	d.dropCredentials()
	d.warned(nil)
	if !c.Remove {
		return nil
	}
	if err := d.remove(ctx, c, is); err != nil {
		if ctx.Err() != nil {
			return d.explain(ctx, c, "remove", err)
		}
		// No process of it is left: that is what a stop is for.
		d.warned([]string{d.explain(ctx, c, "remove", err).Error() + "; it is tried again at the next start"})
	}
	return nil
}

// end asks the processes to end, and kills them in time.
func (d *driver) end(ctx context.Context, c *Config, is *container.InspectResponse) error {
	if !is.State.Running {
		return nil
	}
	if is.State.Paused { // what is frozen hears no signal
		_, _ = d.socket.client.ContainerUnpause(ctx, is.ID, client.ContainerUnpauseOptions{}) // it may run again by now
	}
	wait := int((share(ctx, c.KillAfter) + time.Second - 1) / time.Second)
	_, err := d.socket.client.ContainerStop(ctx, is.ID, client.ContainerStopOptions{Timeout: &wait})
	if notThere(err) {
		return nil
	}
	return err
}

// share is the part of the time left that may pass before it is killed.
func share(ctx context.Context, want time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return want
	}
	left := time.Until(deadline)
	return max(0, min(want, left-min(left/2, 3*time.Second)))
}

// remove takes the container away, whatever state it is in, and waits until it is gone.
func (d *driver) remove(ctx context.Context, c *Config, is *container.InspectResponse) error {
	if err := d.end(ctx, c, is); err != nil {
		return err
	}
	_, err := d.socket.client.ContainerRemove(ctx, is.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for cerrdefs.IsConflict(err) { // somebody removes it already
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
		if _, err = d.socket.client.ContainerInspect(ctx, is.ID, client.ContainerInspectOptions{}); err == nil {
			err = fmt.Errorf("its removal does not end: %w", cerrdefs.ErrConflict)
		}
	}
	if err != nil && !notThere(err) {
		return err
	}
	d.forget()
	return nil
}

// Kill implements drivers.Killer: also where the engine does not answer.
func (d *driver) Kill(ctx context.Context) error {
	c := d.cfg()
	asked, cancel := context.WithTimeout(ctx, d.socket.lookFor)
	defer cancel()
	is, err := d.find(asked, c)
	if err != nil {
		if unanswered(err) && d.killKnown() {
			return nil
		}
		return d.explain(ctx, c, "kill", err)
	}
	if is == nil || !is.State.Running {
		return nil
	}
	if is.State.Paused {
		_, _ = d.socket.client.ContainerUnpause(ctx, is.ID, client.ContainerUnpauseOptions{}) // else it hears nothing
	}
	_, err = d.socket.client.ContainerKill(ctx, is.ID, client.ContainerKillOptions{Signal: "KILL"})
	if err != nil && !notThere(err) && !d.killKnown() {
		return d.explain(ctx, c, "kill", err)
	}
	return nil
}

// Update implements drivers.Updater.
func (d *driver) Update(ctx context.Context, config any) error {
	next := config.(*Config)
	old := d.cfg()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot change container %s: %w", nameOf(d.opening, old), err)
	}
	if old.Memory != next.Memory || old.CPU != next.CPU || old.PIDs != next.PIDs {
		is, err := d.find(ctx, next)
		if err != nil {
			return d.explain(ctx, next, "change", err)
		}
		if is != nil {
			if err := d.limit(ctx, next, is); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config = next
	return nil
}

// limit gives a container the limits that are declared.
func (d *driver) limit(ctx context.Context, c *Config, is *container.InspectResponse) error {
	r := limits(c)
	if r.Memory == 0 && is.HostConfig.Memory > 0 {
		r.Memory, r.MemorySwap = -1, -1
	}
	if r.NanoCPUs == 0 && is.HostConfig.NanoCPUs > 0 {
		return fmt.Errorf("cannot change container %s: its engine can't lift the limit of cpu while it runs (write how many cores the host has, or restart it)", nameOf(d.opening, c))
	}
	if r.PidsLimit == nil && is.HostConfig.PidsLimit != nil && *is.HostConfig.PidsLimit > 0 {
		none := int64(-1)
		r.PidsLimit = &none
	}
	_, err := d.socket.client.ContainerUpdate(ctx, is.ID, client.ContainerUpdateOptions{Resources: &r})
	if err == nil {
		return nil
	}
	if cerrdefs.IsNotFound(err) { // Podman before 4.5 has no such call
		return fmt.Errorf("cannot change the limits of container %s while it runs: its engine can't (restart it)", nameOf(d.opening, c))
	}
	return d.explain(ctx, c, "change the limits of", err)
}

// Notices implements drivers.Notices.
func (d *driver) Notices() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notices)
}

func (d *driver) warned(words []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notices = words[:min(len(words), 10)]
}

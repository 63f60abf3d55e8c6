package keeper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say which keeper to talk to.
type Options struct {
	RunDir string // of its socket; one keeper each
	LogDir string // of the processes' output, for a keeper that is started
	// Binary is the start of the command that runs Main; it is used when no keeper answers.
	Binary []string
	// NoCgroups makes a keeper that is started track by session and mark only.
	NoCgroups bool
}

// Client talks to a keeper over one connection, which it makes again when it breaks.
// It knows every process from the keeper's events, so that Get costs no message.
// It is safe for concurrent use.
type Client struct {
	opts   Options
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	conn      *conn         // nil while there is none
	up        chan struct{} // closed once there is one
	seq       uint64
	calls     map[uint64]chan *frame
	processes map[string]*Process
	watchers  map[string][]*watcher
	lastErr   error
	keeper    Info // of the last connection
	retiring  bool
	moving    bool // the keeper takes up a new program: what is known stays true meanwhile
}

type watcher struct {
	mu     sync.Mutex // held during a call, so that stop waits for it
	tell   func(Process)
	closed bool
}

// Connect reaches the keeper of opts.RunDir, and starts one where none answers.
func Connect(ctx context.Context, opts Options) (*Client, error) {
	c := &Client{
		opts: opts, done: make(chan struct{}), up: make(chan struct{}),
		calls: make(map[uint64]chan *frame), processes: make(map[string]*Process), watchers: make(map[string][]*watcher),
	}
	k, r, all, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.welcome(k, all)
	go c.run(life, k, r)
	return c, nil
}

// Close ends the connection. The keeper and its processes go on.
func (c *Client) Close() {
	c.cancel()
	c.mu.Lock()
	if c.conn != nil {
		c.conn.net.Close()
	}
	c.mu.Unlock()
	<-c.done
}

// run owns the connection: it reads it until it breaks, and makes the next one.
func (c *Client) run(ctx context.Context, k *conn, r *bufio.Reader) {
	defer close(c.done)
	wait := time.Duration(0)
	for {
		if k != nil {
			began := time.Now()
			c.read(k, r)
			c.mu.Lock()
			retiring, moving := c.retiring, c.moving
			c.mu.Unlock()
			if moving || time.Since(began) > time.Second {
				wait = 0
			}
			if retiring {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(max(2*wait, 10*time.Millisecond), 5*time.Second)
		var all []Process
		var err error
		k, r, all, err = c.dial(ctx)
		if err != nil {
			c.mu.Lock()
			c.lastErr, c.moving = err, false
			c.mu.Unlock()
			k = nil
			continue
		}
		c.welcome(k, all)
		if ctx.Err() != nil {
			k.net.Close()
		}
	}
}

// welcome makes a connection the current one, and tells subscribers what is
// different from what was known: an exit meanwhile, or a process that is lost.
func (c *Client) welcome(k *conn, all []Process) {
	c.mu.Lock()
	before := c.processes
	c.processes = make(map[string]*Process, len(all))
	var changed []*Process
	for i := range all {
		p := &all[i]
		c.processes[p.ID] = p
		if old := before[p.ID]; old != nil && (old.Run != p.Run || old.Phase != p.Phase || old.Ready != p.Ready || old.Remains != p.Remains || old.PID != p.PID ||
			old.Text != p.Text || old.Forked != p.Forked) {
			changed = append(changed, p)
		}
	}
	for id, old := range before {
		if c.processes[id] != nil {
			continue
		}
		if old.Phase == Running {
			lost := *old
			lost.Phase, lost.Ready, lost.Remains = Lost, false, 0
			lost.Exit = &Exit{Code: -1, Signal: "SIGKILL", Time: time.Now()}
			lost.Last = []string{"ended with the keeper, which is the parent of every process"}
			old = &lost
			changed = append(changed, old)
		}
		c.processes[id] = old
	}
	c.mu.Unlock()
	for _, p := range changed {
		c.tell(p)
	}
	c.mu.Lock()
	c.conn, c.keeper, c.lastErr, c.moving = k, k.keeper, nil, false
	close(c.up)
	c.mu.Unlock()
}

func (c *Client) read(k *conn, r *bufio.Reader) {
	var buf []byte
	for {
		f, next, err := readFrame(r, buf)
		buf = next
		if err != nil {
			break
		}
		if f.Process != nil && f.Process.ID != "" && f.Error == "" {
			c.mu.Lock()
			old := c.processes[f.Process.ID]
			stale := old != nil && old.Run > f.Process.Run
			if !stale && f.Seq == 0 {
				c.processes[f.Process.ID] = f.Process
			}
			c.mu.Unlock()
			if f.Seq == 0 {
				c.tell(f.Process)
				continue
			}
		}
		c.mu.Lock()
		c.moving = c.moving || f.Op == opMoving
		reply := c.calls[f.Seq]
		delete(c.calls, f.Seq)
		c.mu.Unlock()
		if reply != nil {
			reply <- f
		}
	}
	k.net.Close()
	c.mu.Lock()
	c.conn = nil
	c.up = make(chan struct{})
	for seq, reply := range c.calls {
		if c.moving {
			reply <- &frame{Op: opMoving}
		}
		close(reply)
		delete(c.calls, seq)
	}
	c.mu.Unlock()
}

func (c *Client) tell(p *Process) {
	c.mu.Lock()
	ws := c.watchers[p.ID]
	c.mu.Unlock()
	for _, w := range ws {
		w.mu.Lock()
		if !w.closed {
			w.tell(*p)
		}
		w.mu.Unlock()
	}
}

// call sends one request and waits for its answer. A missing connection is waited
// for as long as ctx allows.
func (c *Client) call(ctx context.Context, f *frame) (*frame, error) {
	for {
		a, err := c.ask(ctx, f)
		if err != nil || a.Op != opMoving || f.Op == opReplace {
			return a, err
		}
		f.Again = true // it was not answered, and nothing but a stop was begun
	}
}

func (c *Client) ask(ctx context.Context, f *frame) (*frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot ask the keeper: %w", err)
	}
	reply := make(chan *frame, 1)
	for {
		c.mu.Lock()
		k, up, lastErr := c.conn, c.up, c.lastErr
		if missing := f.missing(k); missing != "" {
			c.mu.Unlock()
			return nil, tooOld(f, missing, k.features)
		}
		if k != nil {
			c.seq++
			f.Seq = c.seq
			c.calls[f.Seq] = reply
			c.mu.Unlock()
			k.send(f)
			break
		}
		c.mu.Unlock()
		select {
		case <-up:
		case <-c.done:
			return nil, errors.New("cannot ask the keeper: the connection was closed")
		case <-ctx.Done():
			if lastErr == nil {
				lastErr = errors.New("it does not answer")
			}
			return nil, fmt.Errorf("cannot reach the keeper: %w (%w)", lastErr, ctx.Err())
		}
	}
	select {
	case a, ok := <-reply:
		if !ok {
			return nil, ErrAway
		}
		if a.Error != "" {
			return nil, errors.New(a.Error)
		}
		return a, nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.calls, f.Seq)
		c.mu.Unlock()
		return nil, fmt.Errorf("cannot wait any longer for the keeper: %w", ctx.Err())
	}
}

// Start starts a process and returns once its program runs. An id that runs with
// the same digest is left as it is. It acknowledges the exit before.
func (c *Client) Start(ctx context.Context, r Request) (Process, error) {
	a, err := c.call(ctx, &frame{Op: opStart, Start: &r})
	if err != nil {
		return Process{}, err
	}
	return *a.Process, nil
}

// Stop sends a signal to every process of the id, after the grace SIGKILL, and
// returns once none is left. An id that does not run is stopped already.
func (c *Client) Stop(ctx context.Context, id string, sig syscall.Signal, grace time.Duration) error {
	_, err := c.call(ctx, &frame{Op: opStop, ID: id, Signal: int(sig), Grace: int64(grace)})
	return err
}

// Kill ends every process of the id at once.
func (c *Client) Kill(ctx context.Context, id string) error {
	return c.Stop(ctx, id, syscall.SIGKILL, 0)
}

// Signal sends a signal to the main process.
func (c *Client) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	_, err := c.call(ctx, &frame{Op: opSignal, ID: id, Signal: int(sig)})
	return err
}

// Forget acknowledges an exit and drops all that is known of an id.
func (c *Client) Forget(ctx context.Context, id string) error {
	if _, err := c.call(ctx, &frame{Op: opForget, ID: id}); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.processes, id)
	c.mu.Unlock()
	return nil
}

// Retire ends a keeper that holds no process, and closes the client: for a clean
// uninstall, an upgrade, or a test. It forgets exits that nobody acknowledged, and
// returns once the keeper is gone.
func (c *Client) Retire(ctx context.Context) error {
	c.mu.Lock()
	c.retiring = true // its end is no reason to start another one
	c.mu.Unlock()
	if _, err := c.call(ctx, &frame{Op: opRetire}); err != nil && !errors.Is(err, ErrAway) {
		c.mu.Lock()
		c.retiring = false
		c.mu.Unlock()
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot see the keeper end: %w", ctx.Err())
	}
}

// List asks the keeper for all that it knows, sorted by id.
func (c *Client) List(ctx context.Context) ([]Process, error) {
	a, err := c.call(ctx, &frame{Op: opList})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(a.List, func(x, y Process) int { return strings.Compare(x.ID, y.ID) })
	return a.List, nil
}

// Get returns what the keeper's events have told of an id. ErrUnknown: nothing.
func (c *Client) Get(ctx context.Context, id string) (Process, error) {
	for {
		c.mu.Lock()
		p, up, down, lastErr := c.processes[id], c.up, c.conn == nil && !c.moving, c.lastErr
		c.mu.Unlock()
		if !down {
			if p == nil {
				return Process{}, ErrUnknown
			}
			return *p, nil
		}
		select { // what was known may not be true any more
		case <-up:
		case <-c.done:
			return Process{}, errors.New("cannot ask the keeper: the connection was closed")
		case <-ctx.Done():
			if lastErr == nil {
				lastErr = errors.New("it does not answer")
			}
			return Process{}, fmt.Errorf("cannot reach the keeper: %w (%w)", lastErr, ctx.Err())
		}
	}
}

// Subscribe calls tell at every change of an id, in order, from the one goroutine
// that reads the connection: it must not block, and not call the client. It is not
// called any more once stop has returned; tell must not call stop.
func (c *Client) Subscribe(id string, tell func(Process)) (stop func()) {
	w := &watcher{tell: tell}
	c.mu.Lock()
	c.watchers[id] = append(slices.Clip(c.watchers[id]), w)
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		left := slices.DeleteFunc(slices.Clone(c.watchers[id]), func(o *watcher) bool { return o == w })
		if len(left) == 0 {
			delete(c.watchers, id)
		} else {
			c.watchers[id] = left
		}
		c.mu.Unlock()
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
	}
}

// hello introduces the client, and learns of everything.
func hello(ctx context.Context, n *net.UnixConn) (*conn, *bufio.Reader, []Process, error) {
	k, err := newConn(n)
	if err != nil {
		return nil, nil, nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) > 10*time.Second {
		deadline = time.Now().Add(10 * time.Second)
	}
	_ = n.SetReadDeadline(deadline)
	k.send(&frame{Seq: 1, Op: opHello, Version: version})
	r := bufio.NewReaderSize(n, 16<<10)
	f, _, err := readFrame(r, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case f.Seq != 1:
		return nil, nil, nil, errors.New("it does not answer our hello (is that a keeper's socket?)")
	case f.Error != "":
		return nil, nil, nil, errors.New(f.Error)
	case f.Version < oldest:
		return nil, nil, nil, fmt.Errorf("it speaks version %d of the protocol, and this svcctl %d to %d (stop what it runs, and it ends by itself: a keeper of this version takes its place)", f.Version, oldest, version)
	}
	_ = n.SetReadDeadline(time.Time{})
	k.features = f.Features
	if f.Keeper != nil {
		k.keeper = *f.Keeper
	}
	return k, r, f.List, nil
}

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
	// asks bounds a question that a signal of the bus raised.
	asks = 10 * time.Second
	// queued signals. What is more is not kept: everybody looks then.
	queued = 1024
)

// buses holds one connection to each service manager, which all units share. It is
// safe for concurrent use.
type buses struct {
	mu  sync.Mutex
	all map[string]*bus
}

// at returns the connection of a scope. Nothing is dialled before it is needed.
func (b *buses) at(scope, name string) *bus {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = make(map[string]*bus)
	}
	key := scope + " " + name + " " + os.Getenv("XDG_RUNTIME_DIR")
	if b.all[key] == nil {
		b.all[key] = &bus{where: func() (string, bool, error) { return socket(scope, name) }, dialling: make(chan struct{}, 1)}
	}
	return b.all[key]
}

// socket says where a service manager listens, and whether a bus is between.
func socket(scope, name string) (path string, viaBus bool, err error) {
	if scope == "system" {
		// The manager's own socket works also where D-Bus is not up yet, or no more.
		if os.Geteuid() == 0 {
			return "/run/systemd/private", false, nil
		}
		return "/run/dbus/system_bus_socket", true, nil
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return "", false, fmt.Errorf("there is no user %q (create it, or correct user)", name)
		}
		dir = filepath.Join("/run/user", u.Uid)
	} else if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Geteuid()))
	}
	return filepath.Join(dir, "systemd", "private"), false, nil
}

// bus is the connection to one service manager. It is made when it is needed, and made
// again by the next who needs it; while somebody watches, its own goroutine does so.
type bus struct {
	where    func() (path string, viaBus bool, err error)
	dialling chan struct{} // held by the one who dials

	mu       sync.Mutex
	link     *link // nil: none
	watchers map[*watcher]bool
	end      context.CancelFunc // of the goroutine that serves watchers; nil: none
	ended    chan struct{}
}

// link is one connection, from its first to its last byte.
type link struct {
	*sd.Conn
	*intake
	lost <-chan struct{} // closed when the other side is gone
	end  context.CancelFunc
}

// intake takes the signals of a connection. The library would keep without bound what
// nobody reads, and it is given the ends of jobs only, which are what it waits for.
type intake struct {
	library
	units  chan string   // changed, by the last parts of their paths
	missed chan struct{} // holds one where the queue was full
}

type library interface {
	dbus.SignalHandler
	dbus.SignalRegistrar
	dbus.Terminator
}

func newIntake() *intake {
	return &intake{library: dbus.NewSequentialSignalHandler().(library), units: make(chan string, queued), missed: make(chan struct{}, 1)}
}

// DeliverSignal implements dbus.SignalHandler. It waits for nobody.
func (i *intake) DeliverSignal(iface, name string, s *dbus.Signal) {
	if s.Name == "org.freedesktop.systemd1.Manager.JobRemoved" {
		i.library.DeliverSignal(iface, name, s)
		return
	}
	unit, changed := unitOf(s)
	if !changed {
		return
	}
	select {
	case i.units <- unit:
	default:
		select {
		case i.missed <- struct{}{}:
		default:
		}
	}
}

// get returns a connection that lives.
func (b *bus) get(ctx context.Context) (*link, error) {
	select {
	case b.dialling <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-b.dialling }()
	b.mu.Lock()
	l := b.link
	b.mu.Unlock()
	if l != nil {
		select {
		case <-l.lost:
			l.end() // of the other one too
		default:
			return l, nil
		}
	}
	l, err := b.dial(ctx)
	b.mu.Lock()
	b.link = l
	b.mu.Unlock()
	return l, err
}

func (b *bus) dial(ctx context.Context) (*link, error) {
	at, viaBus, err := b.where()
	if err != nil {
		return nil, err
	}
	l := &link{}
	// A manager that hangs would keep the greeting for ever: the end of ctx ends it.
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	l.Conn, err = sd.NewConnection(func() (*dbus.Conn, error) {
		in := newIntake()
		c, err := greet(life, at, viaBus, in)
		if err == nil {
			l.lost, l.intake = c.Context().Done(), in // the second of the two carries the signals
		}
		return c, err
	})
	if err == nil {
		if told := l.Subscribe(); told != nil && !strings.Contains(told.Error(), "AlreadySubscribed") {
			err = told
		}
	}
	if in := stop(); !in {
		err = ctx.Err()
	}
	if err != nil {
		end()
		return nil, noManager(at, err)
	}
	l.end = end
	return l, nil
}

// greet dials by the transport of unix sockets: the library's other one, which takes any
// connection, panics where that breaks within a message.
func greet(life context.Context, path string, viaBus bool, in *intake) (*dbus.Conn, error) {
	c, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(path), dbus.WithContext(life), dbus.WithSignalHandler(in))
	if err != nil {
		return nil, err
	}
	if err = c.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err == nil && viaBus {
		err = c.Hello()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func noManager(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("systemd does not listen on %s (does it run on this host? a user's manager runs after a login, or loginctl enable-linger)", path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("systemd can't be spoken to at %s: permission denied (run the agent as root, or as the units' user)", path)
	}
	return fmt.Errorf("systemd does not answer on %s: %w", path, err)
}

// watcher is one unit's interest in the signals.
type watcher struct {
	unit    func(escaped string) bool // whether a signal of a unit, as its path has it, is its own
	changed func(context.Context)

	calling sync.Mutex // held while changed runs
	over    bool
	ctx     context.Context
	end     context.CancelFunc
}

// watch begins to call changed for signals of the unit, and after each time that the
// connection was lost. The returned function returns once no call is under way.
func (b *bus) watch(w *watcher) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = make(map[*watcher]bool)
	}
	b.watchers[w] = true
	w.ctx, w.end = context.WithCancel(context.Background())
	if b.end == nil {
		ctx, cancel := context.WithCancel(context.Background())
		b.end, b.ended = cancel, make(chan struct{})
		go b.serve(ctx, b.ended)
	}
	return sync.OnceFunc(func() { b.unwatch(w) })
}

func (b *bus) unwatch(w *watcher) {
	b.mu.Lock()
	delete(b.watchers, w)
	end, ended := b.end, b.ended
	if len(b.watchers) > 0 {
		end = nil
	} else {
		b.end = nil
	}
	b.mu.Unlock()
	w.end()
	if end != nil {
		end()
		<-ended
	}
	w.calling.Lock() // a call that was under way ends first
	w.over = true
	w.calling.Unlock()
}

// serve is the goroutine of all watchers. It ends with the last of them.
func (b *bus) serve(ctx context.Context, ended chan struct{}) {
	defer close(ended)
	retry := firstRetry
	for ctx.Err() == nil {
		dialling, cancel := context.WithTimeout(ctx, asks)
		l, err := b.get(dialling)
		cancel()
		if err != nil {
			if !pause(ctx, retry) {
				return
			}
			retry = min(2*retry, lastRetry)
			continue
		}
		retry = firstRetry
		b.tell(ctx, func(*watcher) bool { return true }) // what happened in between was told to nobody
		b.pass(ctx, l)
		if !pause(ctx, firstRetry) { // also where each connection is lost as soon as it is made
			return
		}
	}
}

// pass hands signals on until the connection is lost.
func (b *bus) pass(ctx context.Context, l *link) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.lost:
			b.tell(ctx, func(*watcher) bool { return true })
			return
		case unit := <-l.units:
			b.tell(ctx, func(w *watcher) bool { return w.unit(unit) })
		case <-l.missed:
			b.tell(ctx, func(*watcher) bool { return true })
		}
	}
}

// unitOf returns the last part of the path of a unit whose properties changed.
func unitOf(s *dbus.Signal) (unit string, changed bool) {
	if s.Name != "org.freedesktop.DBus.Properties.PropertiesChanged" || len(s.Body) == 0 || s.Body[0] != "org.freedesktop.systemd1.Unit" {
		return "", false
	}
	return path.Base(string(s.Path)), true
}

func (b *bus) tell(ctx context.Context, whom func(*watcher) bool) {
	b.mu.Lock()
	told := make([]*watcher, 0, 1)
	for w := range b.watchers {
		if whom(w) {
			told = append(told, w)
		}
	}
	b.mu.Unlock()
	for _, w := range told {
		if ctx.Err() != nil {
			return
		}
		w.call()
	}
}

func (w *watcher) call() {
	w.calling.Lock()
	defer w.calling.Unlock()
	if w.over {
		return
	}
	asking, cancel := context.WithTimeout(w.ctx, asks)
	defer cancel()
	w.changed(asking)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

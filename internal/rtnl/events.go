package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
)

// The groups of news.
const (
	OfLinksAndAddresses = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	OfRoutes            = unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
)

// News is what one message of the kernel tells.
type News struct {
	All    bool            // some news is lost, or another namespace is there: look at everything
	Links  map[string]bool // by name: whether with carrier
	Addrs  map[netip.Addr]bool
	Routes map[netip.Prefix]bool
}

// Events are the subscriptions to the kernel's news, one in each network namespace that
// somebody listens in. They are safe for concurrent use.
type Events struct {
	groups   uint32
	watching netns.Watching

	mu    sync.Mutex
	rooms map[string]*room // by the path of the namespace; "": the program's
}

// NewEvents subscribes to groups once somebody listens.
func NewEvents(groups uint32) *Events { return &Events{groups: groups, rooms: map[string]*room{}} }

// room is one namespace. A socket would keep one alive that was deleted, so it is
// closed when the name is gone, and opened anew when the name is back.
type room struct {
	path      string
	socket    *os.File // nil: there is no namespace
	listeners map[*listener]bool
	names     map[int]string // of interfaces, by index, as far as the news told
	unwatch   func()
}

type listener struct{ hear func(*News) }

// Listen calls hear with all news of the namespace at path. A call that is under way
// when stop is called goes on.
func (e *Events) Listen(path string, hear func(*News)) (stop func(), err error) {
	l := &listener{hear}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rooms[path]
	if r == nil {
		r = &room{path: path, listeners: map[*listener]bool{}, names: map[int]string{}, unwatch: func() {}}
		if path != "" {
			if r.unwatch, err = e.watching.Watch(path, func() { e.renew(r) }); err != nil {
				return nil, err
			}
		}
		if err := e.open(r); err != nil {
			go r.unwatch() // waits for renew, which waits for us
			return nil, err
		}
		e.rooms[path] = r
	}
	r.listeners[l] = true
	return func() { e.leave(r, l) }, nil
}

func (e *Events) leave(r *room, l *listener) {
	e.mu.Lock()
	delete(r.listeners, l)
	last := len(r.listeners) == 0 && e.rooms[r.path] == r
	if last {
		delete(e.rooms, r.path)
		if r.socket != nil {
			r.socket.Close()
			r.socket = nil
		}
	}
	e.mu.Unlock()
	if last {
		r.unwatch()
	}
}

// open subscribes; where there is no namespace, later.
func (e *Events) open(r *room) error {
	var socket *os.File
	err := netns.Do(r.path, func() (err error) { socket, err = subscribe(e.groups); return err })
	if errors.Is(err, netns.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	r.socket = socket
	go e.listen(r, socket) // ends when the socket is closed
	return nil
}

// renew follows a namespace that came, went, or was made anew.
func (e *Events) renew(r *room) {
	e.mu.Lock()
	if e.rooms[r.path] != r {
		e.mu.Unlock()
		return
	}
	if r.socket != nil {
		r.socket.Close()
		r.socket = nil
	}
	r.names = map[int]string{}
	_ = e.open(r) // where it fails, the slow probe tells what is not heard
	all := e.who(r)
	e.mu.Unlock()
	tell(all, &News{All: true})
}

func (e *Events) who(r *room) (all []*listener) {
	for l := range r.listeners {
		all = append(all, l)
	}
	return all
}

func tell(all []*listener, n *News) {
	for _, l := range all {
		l.hear(n)
	}
}

func subscribe(groups uint32) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	const queue = 1 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue) != nil {
		// Without the privilege the queue is shorter; an overflow is survived.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queue)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot subscribe to the kernel's news: %w", err)
	}
	return os.NewFile(uintptr(fd), "netlink events"), nil
}

func (e *Events) listen(r *room, socket *os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := socket.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS): // some news is lost
			n = 0
		case err != nil:
			return // closed
		}
		e.mu.Lock()
		if r.socket != socket {
			e.mu.Unlock()
			return
		}
		news := r.parse(buf[:n])
		all := e.who(r)
		e.mu.Unlock()
		tell(all, news)
	}
}

func (r *room) parse(text []byte) *News {
	n := &News{All: len(text) == 0, Links: map[string]bool{}, Addrs: map[netip.Addr]bool{}, Routes: map[netip.Prefix]bool{}}
	for rest := text; len(rest) >= unix.NLMSG_HDRLEN; {
		length := int(binary.NativeEndian.Uint32(rest))
		if length < unix.NLMSG_HDRLEN || length > len(rest) {
			n.All = true
			break
		}
		kind, body := binary.NativeEndian.Uint16(rest[4:]), rest[unix.NLMSG_HDRLEN:length]
		rest = rest[min(len(rest), (length+3)&^3):]
		switch kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			l := parseLink(body)
			if before, ok := r.names[l.Index]; ok && before != l.Name {
				n.Links[before] = false // renamed
			}
			n.Links[l.Name] = l.Carrier() && kind == unix.RTM_NEWLINK
			r.names[l.Index] = l.Name
			if kind == unix.RTM_DELLINK {
				delete(r.names, l.Index)
			}
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			n.Addrs[ParseAddress(body).Prefix.Addr()] = true
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if route, ok := ParseRoute(body); ok {
				n.Routes[route.Destination] = true
			}
		}
	}
	return n
}

package ip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

// events is the one subscription to the kernel's news of links and addresses. It
// lives while somebody watches. It is safe for concurrent use.
type events struct {
	mu      sync.Mutex
	socket  *os.File // nil: nobody watches
	watches map[*watch]bool
	names   map[int]string // of interfaces, by index, as far as the news told
}

// watch is one resource's wish to be told.
type watch struct {
	driver  *driver
	link    string
	changed func(drivers.Status)

	mu      sync.Mutex // held while changed runs, so that nothing comes after stop
	stopped bool
	told    drivers.Status
	lost    bool // the carrier, since the last look
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (stop func(), err error) {
	w := &watch{driver: d, link: d.current().Interface, changed: changed}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Subscribed first, looked at then: what changes in between is in the queue.
	if err := d.events.join(w); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", d.want, err)
	}
	w.mu.Lock()
	now, err := d.Status(ctx)
	w.told = now
	w.mu.Unlock()
	if err != nil {
		d.events.leave(w)
		return nil, err
	}
	d.resume(now)
	return func() { d.events.leave(w) }, nil
}

// resume takes up the refreshing of an address that was adopted, not started.
func (d *driver) resume(s drivers.Status) {
	d.mu.Lock()
	idle := d.pending == nil && d.config.Refresh > 0 && s.State == drivers.Up
	mine, told := d.sequence, d.config.Announce
	d.mu.Unlock()
	if idle {
		d.plan(mine, told)
	}
}

func (e *events) join(w *watch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.socket == nil {
		socket, err := subscribe()
		if err != nil {
			return err
		}
		e.socket, e.watches, e.names = socket, make(map[*watch]bool), make(map[int]string)
		go e.listen(socket) // ends when leave closes the socket
	}
	e.watches[w] = true
	return nil
}

func (e *events) leave(w *watch) {
	e.mu.Lock()
	delete(e.watches, w)
	if len(e.watches) == 0 && e.socket != nil {
		e.socket.Close()
		e.socket = nil
	}
	e.mu.Unlock()
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
}

func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	const queue = 1 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue) != nil {
		// Without the privilege the queue is shorter; an overflow is survived.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queue)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot subscribe to the kernel's news: %w", err)
	}
	return os.NewFile(uintptr(fd), "netlink events"), nil
}

func (e *events) listen(socket *os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := socket.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS): // some news is lost: look at everything
			n = 0
		case err != nil:
			return // closed
		}
		for _, w := range e.concerned(buf[:n]) {
			w.look()
		}
	}
}

// concerned lists the watches that the news is about; all of them where there is none.
func (e *events) concerned(news []byte) (hit []*watch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := len(news) == 0
	links, addrs := make(map[string]bool), make(map[netip.Addr]bool) // links: whether with carrier
	for rest := news; len(rest) >= unix.NLMSG_HDRLEN; {
		length := int(binary.NativeEndian.Uint32(rest))
		if length < unix.NLMSG_HDRLEN || length > len(rest) {
			all = true
			break
		}
		kind, body := binary.NativeEndian.Uint16(rest[4:]), rest[unix.NLMSG_HDRLEN:length]
		rest = rest[min(len(rest), (length+3)&^3):]
		switch kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			l := parseLink(body)
			if before, ok := e.names[l.index]; ok && before != l.name {
				links[before] = false // renamed
			}
			links[l.name] = l.carrier() && kind == unix.RTM_NEWLINK
			e.names[l.index] = l.name
			if kind == unix.RTM_DELLINK {
				delete(e.names, l.index)
			}
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			addrs[parseEntry(body).addr.Addr()] = true
		}
	}
	for w := range e.watches {
		carrier, told := links[w.link]
		if told && !carrier {
			w.mu.Lock()
			w.lost = true
			w.mu.Unlock()
		}
		if all || told || addrs[w.driver.want.Addr()] {
			hit = append(hit, w)
		}
	}
	return hit
}

// look tells of a change, and the neighbours of a return of the carrier: they, or
// the switch between, may have learnt of somebody else meanwhile.
func (w *watch) look() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := w.driver.look(ctx, w.link)
	if err != nil {
		return // the slow probe will tell
	}
	now := w.driver.status(w.link, s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if now.State == drivers.Up && w.lost {
		w.lost = false
		if s.link.neighbours() && w.driver.current().Announce > 0 {
			w.driver.announceAgain()
		}
	}
	if now != w.told {
		w.told = now
		w.changed(now)
	}
}

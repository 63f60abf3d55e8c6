package ip

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/rtnl"
)

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
	c := d.current()
	w := &watch{driver: d, link: c.where(), changed: changed}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Subscribed first, looked at then: what changes in between is in the queue.
	w.mu.Lock()
	leave, err := d.events.Listen(d.netns, w.hear)
	if err != nil {
		w.mu.Unlock()
		return nil, fmt.Errorf("cannot watch %s: %w", d.want, err)
	}
	w.told, err = d.Status(ctx)
	now := w.told
	w.mu.Unlock()
	stop = func() {
		leave()
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
	if err != nil {
		stop()
		return nil, err
	}
	d.resume(now)
	return stop, nil
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

// hear looks where the news is about the resource.
func (w *watch) hear(n *rtnl.News) {
	carrier, told := n.Links[w.link]
	if told && !carrier {
		w.mu.Lock()
		w.lost = true
		w.mu.Unlock()
	}
	byDefault := w.driver.gateway.IsValid() && n.Routes[w.driver.defaultRoute(0).Destination]
	if n.All || told || byDefault || n.Addrs[w.driver.want.Addr()] {
		w.look()
	}
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
		if s.link.Neighbours() && w.driver.current().Announce > 0 {
			w.driver.announceAgain()
		}
	}
	if now != w.told {
		w.told = now
		w.changed(now)
	}
}

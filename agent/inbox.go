package agent

import (
	"slices"
	"sync"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// inbox takes what workers and watches have to tell and never makes them wait. It is
// bounded by what can be told: one answer a call, one observation an address. It keeps
// the order of arrival, since what was seen before an answer may be what the call
// itself was about to change.
type inbox struct {
	mu     sync.Mutex
	events []engine.Event
	seen   map[spec.Address]int // where in events the waiting observation of an address is
	gone   int                  // observations in events that a newer one has replaced by nil
	wake   chan struct{}
}

func newInbox() *inbox {
	return &inbox{seen: make(map[spec.Address]int), wake: make(chan struct{}, 1)}
}

func (i *inbox) answer(d engine.Done) {
	i.mu.Lock()
	i.events = append(i.events, d)
	i.mu.Unlock()
	i.signal()
}

// observe keeps the newest observation of an address: older ones are not true any more.
func (i *inbox) observe(a spec.Address, st engine.Status) {
	i.mu.Lock()
	if at, waiting := i.seen[a]; waiting {
		i.events[at] = nil
		if i.gone++; i.gone > 64 && i.gone > len(i.events)/2 {
			i.close()
		}
	}
	i.seen[a] = len(i.events)
	i.events = append(i.events, engine.Observed{Address: a, Status: st})
	i.mu.Unlock()
	i.signal()
}

func (i *inbox) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// close closes the gaps. The caller holds mu.
func (i *inbox) close() {
	i.events = slices.DeleteFunc(i.events, func(ev engine.Event) bool { return ev == nil })
	i.gone = 0
	for at, ev := range i.events {
		if o, ok := ev.(engine.Observed); ok {
			i.seen[o.Address] = at
		}
	}
}

// take empties the inbox.
func (i *inbox) take() []engine.Event {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.close()
	events := i.events
	i.events = nil
	clear(i.seen)
	return events
}

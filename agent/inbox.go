package agent

import (
	"sync"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// inbox takes what workers and watches have to tell and never makes them wait. It is
// bounded by what can be told: one answer a call, one observation an address.
type inbox struct {
	mu    sync.Mutex
	done  []engine.Done
	seen  map[spec.Address]engine.Status
	order []spec.Address
	wake  chan struct{}
}

func newInbox() *inbox {
	return &inbox{seen: make(map[spec.Address]engine.Status), wake: make(chan struct{}, 1)}
}

func (i *inbox) answer(d engine.Done) {
	i.mu.Lock()
	i.done = append(i.done, d)
	i.mu.Unlock()
	i.signal()
}

// observe keeps the newest observation of an address: older ones are not true any more.
func (i *inbox) observe(a spec.Address, st engine.Status) {
	i.mu.Lock()
	if _, waiting := i.seen[a]; !waiting {
		i.order = append(i.order, a)
	}
	i.seen[a] = st
	i.mu.Unlock()
	i.signal()
}

func (i *inbox) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (i *inbox) take() (events []engine.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.done)+len(i.order) == 0 {
		return nil
	}
	events = make([]engine.Event, 0, len(i.done)+len(i.order))
	for _, d := range i.done {
		events = append(events, d)
	}
	for _, a := range i.order {
		events = append(events, engine.Observed{Address: a, Status: i.seen[a]})
	}
	i.done = i.done[:0]
	i.order = i.order[:0]
	clear(i.seen)
	return events
}

package api

import (
	"sync"
	"time"

	"github.com/svcctl/svcctl/engine"
)

// FeedSize is how many events a feed keeps unless told otherwise.
const FeedSize = 4096

// Event is one fact with its place in the history. IDs grow, also over restarts of
// the agent.
type Event struct {
	ID   uint64    `json:"id"`
	Time time.Time `json:"time"`
	engine.Fact
}

// Feed keeps the last events for those who read along. Readers hold a position, not
// a queue: a thousand of them cost no more memory than one, and none can delay
// Publish. Safe for concurrent use.
type Feed struct {
	mu     sync.Mutex
	ring   []Event
	first  uint64 // ID of the oldest event kept
	next   uint64 // ID of the next event
	wake   chan struct{}
	awaken bool // somebody holds wake
	closed bool
}

// NewFeed keeps the last size events. IDs begin at the microsecond of now, so that a
// reader who resumes after a restart of the agent gets everything of the new one.
func NewFeed(size int, now time.Time) *Feed {
	start := uint64(max(now.UnixMicro(), 1))
	return &Feed{ring: make([]Event, size), first: start, next: start, wake: make(chan struct{})}
}

// Publish appends a fact.
func (f *Feed) Publish(at time.Time, fact engine.Fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.ring[f.next%uint64(len(f.ring))] = Event{ID: f.next, Time: at, Fact: fact}
	f.next++
	if f.next-f.first > uint64(len(f.ring)) {
		f.first++
	}
	f.rouse()
}

// Close ends every reader.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.rouse()
}

func (f *Feed) rouse() {
	if f.awaken {
		close(f.wake)
		f.wake, f.awaken = make(chan struct{}), false
	}
}

// Last returns the ID of the newest event: reading after it gives only what is to come.
func (f *Feed) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next - 1
}

// reading is what a reader gets for its position.
type reading struct {
	events []Event
	missed uint64          // events behind the position that are not kept any more
	more   <-chan struct{} // closed once there is more; nil: the feed was closed
}

// after returns up to limit events behind the position since.
func (f *Feed) after(since uint64, limit int) reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := reading{}
	if since+1 < f.first {
		r.missed = f.first - since - 1
		since = f.first - 1
	}
	// A position ahead of us was given by a clock that was set back since: begin anew.
	if since >= f.next {
		since = f.first - 1
	}
	for id := since + 1; id < f.next && len(r.events) < limit; id++ {
		r.events = append(r.events, f.ring[id%uint64(len(f.ring))])
	}
	if !f.closed {
		f.awaken = true
		r.more = f.wake
	}
	return r
}

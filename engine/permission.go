package engine

import "fmt"

func (e *Engine) permit(ev Permission) {
	s := e.services[ev.Service]
	if s == nil {
		return
	}
	if ev.Epoch != 0 && ev.Epoch < s.epoch {
		panic(fmt.Sprintf("internal error: epoch of %s goes back from %d to %d", s.name, s.epoch, ev.Epoch))
	}
	if ev.Epoch == 0 && ev.Why == "" {
		ev.Why = "no placement on this node"
	}
	if s.epoch == ev.Epoch && s.notAfter.Equal(ev.NotAfter) && s.denied == ev.Why && s.barred == ev.Off && s.movable == ev.Movable {
		return
	}
	s.epoch, s.notAfter, s.denied, s.barred, s.movable = ev.Epoch, ev.NotAfter, ev.Why, ev.Off, ev.Movable
	if s.intent.GivenUp != "" && s.intent.GaveUpAt != 0 && ev.Epoch > s.intent.GaveUpAt {
		e.forgive(s, nil) // it was given to this node anew: it is tried anew
		e.remember(s)
	}
	e.touch(s)
}

// elsewhere takes in whether a service is up on another node.
func (e *Engine) elsewhere(ev Elsewhere) {
	if e.upAway[ev.Service] == ev.Up {
		return
	}
	if ev.Up {
		e.upAway[ev.Service] = true
	} else {
		delete(e.upAway, ev.Service)
	}
	for _, name := range e.requirer[ev.Service] {
		e.touch(e.services[name])
	}
}

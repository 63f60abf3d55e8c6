package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// settleLook is how often it is looked whether all of a new revision was carried out.
const settleLook = time.Second

// A revision is in force before all that it took away is stopped, and only the one
// before knows how to stop that. unsettled says, to an agent that comes in between,
// what that is. A loss of power ends what runs, so that nothing needs to be synced.
type unsettled struct {
	From int            `json:"from"`           // the oldest revision that something runs by
	What []spec.Address `json:"what,omitempty"` // none: whatever differs
}

func (s *sets) unsettledPath() string {
	return filepath.Join(s.a.o.Config.State.Dir, "unsettled.json")
}

func (s *sets) readUnsettled() (u unsettled) {
	b, err := os.ReadFile(s.unsettledPath())
	if err == nil {
		err = json.Unmarshal(b, &u)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.a.log.Error("cannot read what the last revision had still to stop: look for leftovers by hand", "error", err)
	}
	return u
}

// unsettle notes, before a revision comes into force, the one that stops what it takes away.
func (s *sets) unsettle(before int) {
	if before == 0 {
		return
	}
	if s.unsettled.From == 0 {
		s.unsettled.From = before
	}
	s.unsettled.What = nil
	s.writeUnsettled()
}

func (s *sets) writeUnsettled() {
	b, err := json.Marshal(s.unsettled)
	if err == nil {
		err = writeBeside(s.unsettledPath(), b, false)
	}
	s.storeResult(err)
}

// settle notes what still goes by an older revision, and that nothing does any more.
func (s *sets) settle(ctx context.Context) {
	if s.unsettled.From == 0 {
		return
	}
	var left []spec.Address
	if s.a.ask(ctx, func(l *loop) { left = l.engine.Outdated() }) != nil {
		return
	}
	if len(left) > 0 {
		if !slices.Equal(left, s.unsettled.What) {
			s.unsettled.What = left
			s.writeUnsettled()
		}
		return
	}
	s.unsettled = unsettled{}
	if err := os.Remove(s.unsettledPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.storeResult(err)
	}
}

// outdated returns the services of now as they were before what was not settled: with
// the resources that are still to be stopped as they were started.
func (s *sets) outdated(now *spec.Spec, current int) map[string]*spec.Service {
	u := s.unsettled
	was := make(map[string]*spec.Service)
	found := make(map[spec.Address]bool)
	for n := u.From; n > 0 && n < current; n++ {
		old := s.loadRevision(n)
		if old == nil {
			continue
		}
		for name, sv := range old.Services {
			is := now.Services[name]
			switch {
			case was[name] == nil && (is == nil || len(u.What) == 0 && is != sv):
				was[name] = sv
			case is != nil && len(u.What) > 0:
				for _, r := range withTasks(sv) {
					if slices.Contains(u.What, r.Address) && !found[r.Address] {
						found[r.Address] = true
						was[name] = withResource(was[name], is, r)
					}
				}
			}
		}
	}
	return was
}

// withResource returns a service as it is, or as it was made so far, with one resource
// or task as it was.
func withResource(made, is *spec.Service, r *spec.Resource) *spec.Service {
	if made == nil {
		made = is
	}
	copied := *made
	list := &copied.Resources
	if r.Task != nil {
		list = &copied.Tasks
	}
	*list = slices.DeleteFunc(slices.Clone(*list), func(o *spec.Resource) bool { return o.Address == r.Address })
	*list = append(*list, r)
	return &copied
}

// before is the set that what runs was made from, as far as it is known: now, with
// what an agent that ended had not stopped yet.
func (s *sets) before(merged, now *spec.Spec, current int) *spec.Spec {
	was := s.outdated(now, current)
	if len(was) == 0 {
		return nil
	}
	all := &spec.Spec{Services: maps.Clone(merged.Services)}
	maps.Copy(all.Services, was)
	all.Names = sortedNames(all.Services)
	return all
}

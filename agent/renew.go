package agent

import (
	"context"
	"fmt"
	"strings"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// watchSecrets begins once a secret is in use. systemd's credentials don't change while
// the agent runs.
func (s *sets) watchSecrets() {
	select {
	case <-s.a.secrets.inUse:
	default:
		return
	}
	if s.secretsWatch != nil {
		return
	}
	w, err := newWatcher(s.a.o.Config.Secrets.Dir, quietWindow, s.a.log)
	if err != nil {
		s.a.log.Error("cannot watch the folder of the secrets: send SIGHUP after a change", "error", err)
		s.secretsTold = nil
		return
	}
	s.secretsWatch, s.secretsTold = w, w.Changes()
}

func (s *sets) unwatchSecrets() {
	if s.secretsWatch != nil {
		s.secretsWatch.Close()
	}
}

// renewSecrets reads the set in force again where a secret has another value now. It is
// the same revision: what uses the secret has another digest, and nothing else has.
func (s *sets) renewSecrets(ctx context.Context) {
	s.watchSecrets() // before the look, so that nothing falls in between
	names := s.a.secrets.renew()
	if len(names) == 0 {
		return
	}
	s.lastDigest = ""
	current := s.store.Current()
	if current == nil || s.inForce == nil {
		s.a.secrets.keep()
		return // what is read next has the new ones
	}
	sp := s.loadRevision(current.Number)
	if sp == nil {
		return
	}
	users := otherDigests(s.inForce, sp)
	s.enforce(ctx, sp, false, 0)
	message := fmt.Sprintf("the secret %s has another value: revision %d is applied anew", strings.Join(names, ", "), current.Number)
	if len(users) > 0 {
		message += " to what uses it: " + few(users)
	}
	s.a.note(ctx, engine.Fact{Kind: engine.FactReload, By: "the secrets of this node", Message: message})
}

// otherDigests lists what differs between two readings of one set, in the set's order.
func otherDigests(was, is *spec.Spec) (out []string) {
	before := make(map[spec.Address]spec.Digest)
	for _, sv := range was.Services {
		for _, r := range withTasks(sv) {
			before[r.Address] = digestWithChecks(r)
		}
	}
	for _, name := range is.Names {
		for _, r := range withTasks(is.Services[name]) {
			if before[r.Address] != digestWithChecks(r) {
				out = append(out, string(r.Address))
			}
		}
	}
	return out
}

func withTasks(sv *spec.Service) []*spec.Resource {
	return append(sv.Resources[:len(sv.Resources):len(sv.Resources)], sv.Tasks...)
}

func digestWithChecks(r *spec.Resource) spec.Digest {
	all := r.Digest
	for _, c := range r.Checks {
		all += " " + c.Digest
	}
	return all
}

// few names some and counts the others.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
}

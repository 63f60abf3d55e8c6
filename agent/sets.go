package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync/atomic"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// SpecStatus is how the directory of declarations stands to what is in force.
type SpecStatus struct {
	Revision  Revision // without files; Number 0: none yet
	State     SpecState
	Message   string // why State is not SpecCurrent
	Findings  spec.Findings
	Directory string
	Store     string // what is wrong with the state directory; "" nothing
	Loaded    time.Time
}

// SpecState is the standing of the directory.
type SpecState string

// The standings that an operator sees.
const (
	SpecCurrent  SpecState = "current"
	SpecBehind   SpecState = "behind"
	SpecConflict SpecState = "conflict"
	SpecInvalid  SpecState = "invalid"
)

// sets turns files into revisions and revisions into what the loop runs. One
// goroutine owns the loader and the store, so that a large set never holds up the
// loop.
type sets struct {
	a          *Agent
	asks       chan func(context.Context)
	store      *revisions
	loader     *spec.Loader
	last       *fileSet
	lastDigest spec.Digest // of the directory, as judged last
	inForce    *spec.Spec
	findings   spec.Findings  // what was found in it
	undeclared map[string]int // service → the number of the last revision that declared it
	unsettled  unsettled      // what still goes by an older revision
	status     atomic.Pointer[SpecStatus]

	secretsWatch *watcher        // nil while no secret is in use
	secretsTold  <-chan struct{} // that one is in use, then that their folder changed
}

const (
	quietWindow = 5 * time.Millisecond
	mendEvery   = 10 * time.Second // writes that failed are tried again
)

func newSets(a *Agent) *sets {
	s := &sets{a: a, asks: make(chan func(context.Context)), undeclared: make(map[string]int), secretsTold: a.secrets.inUse}
	s.status.Store(&SpecStatus{State: SpecInvalid, Message: "nothing was read yet", Directory: a.o.Config.Services.Dir})
	return s
}

func (s *sets) newLoader() *spec.Loader { return s.loaderFor(s.a.secrets) }

func (s *sets) loaderFor(f spec.Fingerprints) *spec.Loader {
	c := s.a.o.Config
	return spec.NewLoader(spec.Options{Kinds: s.a.o.Kinds, Node: spec.Node{Name: c.Node.Name, Labels: c.Node.Labels, Cluster: c.Cluster.Name},
		Secrets: f})
}

func (s *sets) run(ctx context.Context) {
	store, err := openRevisions(s.a.o.Config.State.Dir)
	if err != nil {
		s.a.log.Error("cannot read all of the state directory; the services go on", "error", err)
	}
	s.store = store
	s.loader = s.newLoader()
	s.resume(ctx)
	s.renewSecrets(ctx) // what changed while no agent looked is a change like any other
	defer s.unwatchSecrets()
	changes := make(<-chan struct{})
	w, err := newWatcher(s.a.o.Config.Services.Dir, quietWindow, s.a.log)
	if err != nil {
		s.a.log.Error("cannot watch the services directory; it is read again every "+mendEvery.String(), "error", err)
	} else {
		defer w.Close()
		changes = w.Changes()
	}
	s.read(ctx)
	_ = s.a.ask(ctx, func(l *loop) { l.begun = true })
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	settle := time.NewTimer(settleLook)
	defer settle.Stop()
	for {
		if s.unsettled.From > 0 {
			settle.Reset(settleLook)
		}
		select {
		case <-settle.C:
			s.settle(ctx)
		case <-changes:
			s.read(ctx)
		case <-s.secretsTold:
			s.renewSecrets(ctx)
		case f := <-s.asks:
			f(ctx)
		case <-mend.C:
			s.a.secrets.keep()
			if w == nil || s.status.Load().State == SpecInvalid {
				s.read(ctx)
			}
			if s.store.Fault() != nil {
				if s.store.Flush() == nil {
					s.dropAside()
				}
				s.tell(func(*SpecStatus) {}) // the fault is shown as long as it lasts
			}
		case <-ctx.Done():
			return
		}
	}
}

// ask runs f on the goroutine that owns the sets.
func (s *sets) ask(ctx context.Context, f func(context.Context)) error {
	finished := make(chan struct{})
	select {
	case s.asks <- func(c context.Context) { f(c); close(finished) }:
	case <-s.a.done:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resume puts the revision in force again that was in force before the agent ended:
// what runs was made from it, and must be stopped with it.
func (s *sets) resume(ctx context.Context) {
	merged := &spec.Spec{Services: map[string]*spec.Service{}}
	kept, numbers := s.loadUndeclared()
	for name, sv := range kept {
		merged.Services[name] = sv
	}
	s.undeclared = numbers
	s.recover()
	current := s.store.Current()
	if current == nil && len(kept) == 0 {
		return
	}
	var now *spec.Spec
	if current != nil {
		now = s.loadRevision(current.Number)
	}
	if now != nil {
		maps.Copy(merged.Services, now.Services)
	}
	merged.Names = sortedNames(merged.Services)
	var before *spec.Spec
	if s.unsettled = s.readUnsettled(); now != nil {
		before = s.before(merged, now, current.Number)
	}
	var undeclared []string
	_ = s.a.ask(ctx, func(l *loop) {
		if before != nil {
			l.reload(before, false)
		}
		undeclared = l.reload(merged, before != nil && s.a.o.Config.Services.Prune)
		if now != nil && len(kept) > 0 {
			undeclared = l.reload(now, false) // so that the others are undeclared again
		}
	})
	if before != nil {
		s.keepUndeclared(undeclared, s.unsettled.From)
	}
	if now != nil {
		s.inForce = now
		s.tell(func(st *SpecStatus) { st.State, st.Message, st.Findings = SpecCurrent, "", s.findings })
	}
}

func (s *sets) loadRevision(number int) *spec.Spec {
	files, err := s.store.FS(number)
	if err != nil {
		s.a.log.Error("cannot read the revision that was in force", "revision", number, "error", err)
		return nil
	}
	sp, findings := s.loader.LoadAccepted(files)
	if sp == nil {
		s.a.log.Error("the revision that was in force is not valid for this version of svcctl", "revision", number, "finding", firstError(findings))
	}
	s.found(findings)
	return sp
}

func firstError(findings spec.Findings) string {
	for _, f := range findings {
		if f.Severity == spec.Error {
			text := fmt.Sprintf("%s:%d: %s", f.File, f.Range.Start.Line, f.Summary)
			if f.Detail != "" { // of an assertion, it is all that it says
				text += ": " + f.Detail
			}
			return text
		}
	}
	return ""
}

// read looks at the directory and makes it the revision in force where the rule of
// base and current lets it.
func (s *sets) read(ctx context.Context) {
	started := time.Now()
	dir := s.a.o.Config.Services.Dir
	set, err := snapshotFS(ctx, dir, defaultSetLimits, s.last)
	if err != nil {
		if ctx.Err() == nil {
			s.lastDigest = ""
			s.refuse(SpecInvalid, err.Error(), nil)
		}
		return
	}
	s.last = set
	if set.Digest() == s.lastDigest {
		return
	}
	v := decideRevision(set.Digest(), s.store.Base(dir), s.store.Current(), s.store.List())
	switch v.Standing {
	case standEqual:
		s.lastDigest = set.Digest()
		s.equal(ctx, dir, set)
	case standBehind:
		s.lastDigest = set.Digest()
		s.refuse(SpecBehind, v.Reason, nil)
	case standConflict:
		s.lastDigest = set.Digest()
		s.refuse(SpecConflict, v.Reason, nil)
	case standPublish:
		sp, findings := s.loader.Load(set)
		if s.a.o.Observer.Load != nil {
			s.a.o.Observer.Load(sp != nil, time.Since(started))
		}
		s.lastDigest = set.Digest()
		if sp == nil {
			s.refuse(SpecInvalid, "the files have mistakes", findings)
			return
		}
		s.publish(ctx, sp, set, findings, dir, "directory "+dir, s.a.o.Config.Services.Prune, started)
	default:
		panic("internal error: no such standing: " + string(v.Standing))
	}
}

func (s *sets) currentWords() string {
	if c := s.store.Current(); c != nil {
		return fmt.Sprint(c.Number)
	}
	return "none"
}

// equal notes that the directory holds what is in force, and loads it where the
// state directory could not give it back.
func (s *sets) equal(ctx context.Context, dir string, set *fileSet) {
	current := s.store.Current()
	s.storeResult(errors.Join(s.store.SetBase(dir, current.Number), s.store.Heal(set.Files())))
	if s.inForce == nil {
		sp, findings := s.loader.LoadAccepted(set)
		if sp == nil {
			s.refuse(SpecInvalid, "revision "+s.currentWords()+" is not valid for this version of svcctl", findings)
			return
		}
		s.found(findings)
		s.enforce(ctx, sp, false, 0)
	}
	was := s.status.Load()
	s.tell(func(st *SpecStatus) { st.State, st.Message, st.Findings = SpecCurrent, "", s.findings })
	if was.State != SpecCurrent {
		s.a.note(ctx, engine.Fact{Kind: engine.FactReload, Message: "the directory equals revision " + s.currentWords() + " again"})
	}
}

// publish makes a valid set the revision in force.
func (s *sets) publish(ctx context.Context, sp *spec.Spec, set *fileSet, findings spec.Findings, dir, by string, prune bool, started time.Time) {
	before := 0
	if c := s.store.Current(); c != nil {
		before = c.Number
	}
	s.unsettle(before)
	rev, err := s.store.Put(set.Files(), by, time.Now())
	if dir != "" {
		err = errors.Join(err, s.store.SetBase(dir, rev.Number))
	}
	s.storeResult(err)
	s.keepAside(rev, dir, set, err)
	s.found(findings)
	s.enforce(ctx, sp, prune, before)
	s.settle(ctx)
	s.tell(func(st *SpecStatus) {
		st.State, st.Message, st.Findings, st.Loaded = SpecCurrent, "", findings, time.Now()
	})
	s.a.note(ctx, engine.Fact{Kind: engine.FactReload, By: by,
		Message: fmt.Sprintf("revision %d is in force: %d services, applied in %s", rev.Number, len(sp.Names), time.Since(started).Round(time.Millisecond/10))})
}

// enforce hands a spec to the loop and remembers what goes on undeclared.
func (s *sets) enforce(ctx context.Context, sp *spec.Spec, prune bool, before int) {
	s.inForce = sp
	s.a.secrets.keep()
	var undeclared []string
	if err := s.a.ask(ctx, func(l *loop) { undeclared = l.reload(sp, prune) }); err != nil {
		return
	}
	s.keepUndeclared(undeclared, before)
}

// refuse leaves the revision in force and says why.
func (s *sets) refuse(state SpecState, why string, findings spec.Findings) {
	was := s.status.Load()
	s.tell(func(st *SpecStatus) { st.State, st.Message, st.Findings = state, why, findings })
	if was.State == state && was.Message == why && firstError(was.Findings) == firstError(findings) {
		return
	}
	message := why
	if f := firstError(findings); f != "" {
		message += ": " + f
	}
	s.a.note(context.Background(), engine.Fact{Kind: engine.FactReload, To: string(state), Message: "nothing is changed: " + message})
}

func (s *sets) storeResult(err error) {
	if err == nil {
		return
	}
	s.a.log.Warn("cannot keep the revision on disk; it is in force all the same", "error", err)
}

// tell publishes a changed status.
func (s *sets) tell(change func(*SpecStatus)) {
	next := *s.status.Load()
	change(&next)
	if c := s.store.Current(); c != nil {
		next.Revision = header(*c)
	}
	next.Store = ""
	if f := s.store.Fault(); f != nil {
		next.Store = f.Error()
	}
	s.status.Store(&next)
}

// Spec says how the directory stands to what is in force.
func (a *Agent) Spec() SpecStatus {
	st := *a.sets.status.Load()
	for _, fault := range []func() string{a.intents.fault, a.tasks.fault, a.secrets.fault} {
		if st.Store == "" {
			st.Store = fault()
		}
	}
	return st
}

// Reread reads the secrets and the services directory now, whether or not a change was told.
func (a *Agent) Reread(ctx context.Context) {
	_ = a.sets.ask(ctx, func(c context.Context) { // an agent that ends reads nothing
		a.sets.renewSecrets(c)
		a.sets.lastDigest = ""
		a.sets.read(c)
	})
}

// Applied is what came of an Apply.
type Applied struct {
	Accepted bool // false: see Findings
	Changed  bool // false: it was in force already
	Revision Revision
	Findings spec.Findings
}

// Apply makes files the revision in force, whatever the directory holds.
func (a *Agent) Apply(ctx context.Context, files map[string][]byte, prune bool, by string) (Applied, error) {
	if err := checkNames(files); err != nil {
		return Applied{}, err
	}
	s := a.sets
	out := new(Applied) // no named result: where ctx ends, it is still written to
	err := s.ask(ctx, func(c context.Context) {
		set := contentFiles(files)
		sp, findings := s.newLoader().Load(set)
		out.Findings = findings
		if sp == nil {
			return
		}
		out.Accepted = true
		if current := s.store.Current(); current == nil || current.Digest != set.Digest() || prune {
			out.Changed = true
			s.publish(c, sp, set, findings, "", by, prune, time.Now())
		}
		out.Revision = header(*s.store.Current())
		s.lastDigest = "" // the directory may stand differently to it now
		s.read(c)
	})
	if err != nil {
		return Applied{}, err
	}
	return *out, nil
}

// planned is what came of a Plan.
type planned struct {
	waves    []engine.Wave
	findings spec.Findings
	err      error
}

// Plan says what would be done if files were declared; nil: what the directory holds.
func (a *Agent) Plan(ctx context.Context, files map[string][]byte) ([]engine.Wave, spec.Findings, error) {
	if err := checkNames(files); err != nil {
		return nil, nil, err
	}
	s := a.sets
	out := new(planned) // no named results: where ctx ends, they are still written to
	if err := s.ask(ctx, func(c context.Context) { *out = s.plan(c, files) }); err != nil {
		return nil, nil, err
	}
	return out.waves, out.findings, out.err
}

func (s *sets) plan(ctx context.Context, files map[string][]byte) (out planned) {
	var set fs.FS
	if files != nil {
		set = contentFiles(files)
	} else if set, out.err = snapshotFS(ctx, s.a.o.Config.Services.Dir, defaultSetLimits, s.last); out.err != nil {
		return out
	}
	var sp *spec.Spec
	if sp, out.findings = s.newLoader().Load(set); sp == nil {
		return out
	}
	out.waves, out.err = s.a.rehearse(ctx, sp, s.a.o.Config.Services.Prune)
	return out
}

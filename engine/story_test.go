package engine

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/spec"
)

var update = flag.Bool("update", false, "rewrite the stories under testdata with what happens now")

// A story is a file of inputs and what the engine answered:
//
//	# prose
//	> input                 one of the verbs of (*story).play
//	| more of the input     the resources of a service
//	output                  everything else
//
// go test ./engine -update writes the outputs anew; a reviewer reads them as prose.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(src))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(src) {
				t.Errorf("the story has changed:\n%s", difference(string(src), got))
			}
			if again := tell(t, string(src)); again != got {
				t.Errorf("told twice, it differs:\n%s", difference(got, again))
			}
		})
	}
}

func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		wl, gl := "(end)", "(end)"
		if i < len(w) {
			wl = w[i]
		}
		if i < len(g) {
			gl = g[i]
		}
		if wl != gl {
			return fmt.Sprintf("line %d\n  want: %s\n  got:  %s\n(all of it: go test ./engine -run Stories -update && git diff)", i+1, wl, gl)
		}
	}
	return "no difference"
}

type story struct {
	t       *testing.T
	e       *Engine
	now     time.Time
	start   time.Time
	specs   map[string]*spec.Service
	pending map[uint64]Do
	intents map[string]Intent
	tasks   map[spec.Address]TaskMemory
	out     strings.Builder
}

func tell(t *testing.T, src string) string {
	s := &story{t: t, e: New(Config{Node: "n1", Seed: 1}), specs: map[string]*spec.Service{}, pending: map[uint64]Do{}, intents: map[string]Intent{}, tasks: map[spec.Address]TaskMemory{}}
	s.start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = s.start
	lines := strings.Split(src, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "> "):
			var more []string
			fmt.Fprintln(&s.out, line)
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "| ") {
				i++
				fmt.Fprintln(&s.out, lines[i])
				more = append(more, strings.TrimPrefix(lines[i], "| "))
			}
			s.play(strings.TrimPrefix(line, "> "), more)
		case strings.HasPrefix(line, "#"), line == "":
			fmt.Fprintln(&s.out, line)
		}
	}
	return strings.TrimRight(s.out.String(), "\n") + "\n"
}

// play runs one input:
//
//	service NAME [requires=a,b] [orchestrate=…] [on_failure=…]   declares; | kind.name […] its resources
//	undeclare NAME
//	reload [prune]
//	permit NAME EPOCH [movable] [for DURATION] | elsewhere NAME up|down | deny NAME WHY… | bar NAME WHY…
//	restore NAME started|stopped
//	agent down DURATION               and up again, with what it was asked to remember
//	clock DURATION                    the clock jumps
//	see ADDRESS up|down|failed [exit=N|signal=S] [DETAIL…]
//	ok|error VERB ADDRESS [TEXT…]     answers a pending call; probe and check: ok VERB ADDRESS up|down|failed
//	work [N]                          answers all pending calls with success until nothing follows, or N rounds
//	advance DURATION
//	start|stop|restart|freeze|thaw|clear|purge|run|halt NAME… [resource=R] [tag=T] [reason=R] [for=D]
//	wait                              until the next moment that time alone brings
//	status [NAME] | waves [COMMAND NAME…]
func (s *story) play(line string, more []string) {
	words := strings.Fields(line)
	verb, args := words[0], words[1:]
	switch verb {
	case "service":
		sv := parseService(s.t, args, more)
		s.specs[sv.FullName] = sv
	case "undeclare":
		delete(s.specs, args[0])
	case "reload":
		s.step(Reload{Spec: s.spec(), Prune: slices.Contains(args, "prune")})
	case "permit":
		p := Permission{Service: args[0], Epoch: number(s.t, args[1]), Movable: slices.Contains(args, "movable")}
		if i := slices.Index(args, "for"); i > 0 {
			p.NotAfter = s.now.Add(duration(s.t, args[i+1]))
		}
		s.step(p)
	case "elsewhere":
		s.step(Elsewhere{Service: args[0], Up: args[1] == "up"})
	case "deny":
		s.step(Permission{Service: args[0], Why: strings.Join(args[1:], " ")})
	case "bar":
		s.step(Permission{Service: args[0], Why: strings.Join(args[1:], " "), Off: true})
	case "restore":
		s.step(Restore{Intents: map[string]Intent{args[0]: {State: Wish(args[1]), By: "alice"}}})
	case "agent":
		s.restart(duration(s.t, args[1]))
	case "clock":
		s.now = s.now.Add(duration(s.t, args[0]))
		s.step(Tick{})
	case "see":
		s.step(Observed{Address: spec.Address(args[0]), Status: parseStatus(s.t, args[1:])})
	case "ok", "error":
		s.answer(verb == "error", Verb(args[0]), args[1], args[2:])
	case "work":
		rounds := 1000
		if len(args) > 0 {
			rounds = int(number(s.t, args[0]))
		}
		s.work(rounds)
	case "advance":
		s.advance(s.now.Add(duration(s.t, args[0])))
	case "start", "stop", "restart", "freeze", "thaw", "clear", "purge", "run", "halt":
		s.command(CommandVerb(verb), args)
	case "status":
		s.status(args)
	case "wait":
		if s.now = s.e.nextMoment(); s.now.IsZero() {
			s.t.Fatal("nothing to wait for")
		}
		s.step(Tick{})
	case "waves":
		if len(args) > 0 {
			s.rehearse(Command{ID: "1", Verb: CommandVerb(args[0]), Services: args[1:], By: "alice"})
			return
		}
		evs := []Event{Reload{Spec: s.spec()}}
		for _, n := range s.spec().Names {
			evs = append(evs, Permission{Service: n, Epoch: 1})
		}
		s.rehearse(evs...)
	default:
		s.t.Fatalf("no such input: %s", line)
	}
}

func (s *story) rehearse(evs ...Event) {
	for i, w := range Rehearse(s.e, s.now, evs...) {
		for _, m := range w {
			fmt.Fprintf(&s.out, "        wave %d: %s %s\n", i+1, m.Verb, m.Address)
		}
	}
}

func (s *story) step(ev Event) { s.tellActions(s.e.Step(s.now, ev)) }

func (s *story) tellActions(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Do:
			s.pending[a.Op] = a
			name := string(a.Resource.Address)
			if a.Check != nil {
				name += "/" + a.Check.Name
			}
			extra := ""
			if v := version(a.Resource); v != "" {
				extra += " v=" + v
			}
			if a.Next != nil {
				extra += " to v=" + version(a.Next)
			}
			if !a.NotAfter.IsZero() {
				extra += " not after " + s.clock(a.NotAfter)
			}
			s.say("%s %s%s", a.Verb, name, extra)
		case Cancel:
			s.say("cancel %s %s", s.pending[a.Op].Verb, s.pending[a.Op].Resource.Address)
		case Forget:
			s.say("forget %s", a.Resource.Address)
		case Reply:
			if a.Err != nil {
				s.say("refused: %v", a.Err)
			}
		case Remember:
			if a.Intent == nil {
				delete(s.intents, a.Service)
				s.say("remember nothing of %s", a.Service)
			} else {
				s.intents[a.Service] = *a.Intent
				s.say("remember %s: %s", a.Service, intentWords(a.Intent))
			}
		case RememberTask:
			s.rememberTask(a)
		case Ran:
			s.say("  ran %s: %s", a.Address, s.runWords(a.Run))
		case Record:
			s.tellFact(a.Fact)
		case Reset:
			s.say("reset this node: %s", a.Why)
		default:
			s.t.Fatalf("unknown action %T", a)
		}
	}
}

func intentWords(i *Intent) string {
	var words []string
	if i.State != "" {
		words = append(words, string(i.State))
	}
	var overrides []string
	for a, w := range i.Overrides {
		overrides = append(overrides, fmt.Sprintf("%s %s", a, w))
	}
	slices.Sort(overrides)
	words = append(words, overrides...)
	if i.Frozen != nil {
		words = append(words, frozenWhy(i.Frozen))
	}
	if i.GivenUp != "" {
		words = append(words, "given up: "+i.GivenUp)
	}
	return strings.Join(words, ", ")
}

func (s *story) tellFact(f Fact) {
	switch f.Kind {
	case FactTask:
		line := fmt.Sprintf("  %s %s -> %s: %s", f.Address, f.From, f.To, f.Message)
		if f.From == f.To {
			line = fmt.Sprintf("  %s %s: %s", f.Address, f.To, f.Message)
		}
		s.say("%s", line)
	case FactResource, FactCheck:
		name := string(f.Address)
		if f.Check != "" {
			name += "/" + f.Check
		}
		line := fmt.Sprintf("  %s %s -> %s", name, f.From, f.To)
		if f.Message != "" {
			line += ": " + f.Message
		}
		s.say("%s", line)
	case FactService:
		line := "  " + f.Service
		if f.To != "" {
			line += fmt.Sprintf(" %s -> %s", f.From, f.To)
		}
		if f.Message != "" {
			line += ": " + f.Message
		}
		s.say("%s", line)
	case FactCommand, FactReload, FactNotice:
		who := f.Service
		if f.Address != "" {
			who = string(f.Address)
		}
		s.say("  %s: %s", strings.TrimSpace(string(f.Kind)+" "+who), f.Message)
	default:
		s.t.Fatalf("unknown fact %q", f.Kind)
	}
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(&s.out, "%7s %s\n", s.clock(s.now), fmt.Sprintf(format, args...))
}

func (s *story) clock(t time.Time) string {
	return strconv.FormatFloat(t.Sub(s.start).Seconds(), 'f', 3, 64)
}

func (s *story) spec() *spec.Spec {
	sp := &spec.Spec{Services: map[string]*spec.Service{}}
	for n, sv := range s.specs {
		sp.Services[n] = sv
		sp.Names = append(sp.Names, n)
	}
	slices.Sort(sp.Names)
	return sp
}

func (s *story) answer(failed bool, verb Verb, name string, rest []string) {
	for op, d := range s.pending {
		full := string(d.Resource.Address)
		if d.Check != nil {
			full += "/" + d.Check.Name
		}
		if d.Verb != verb || full != name {
			continue
		}
		delete(s.pending, op)
		done := Done{Op: op}
		switch {
		case failed:
			done.Err = errors.New(strings.Join(rest, " "))
		case len(rest) > 0:
			done.Status = parseStatus(s.t, rest)
		}
		s.step(done)
		return
	}
	s.t.Fatalf("no pending %s of %s\n%s", verb, name, s.out.String())
}

func (s *story) work(rounds int) {
	for range rounds {
		var ops []uint64
		for op := range s.pending {
			ops = append(ops, op)
		}
		if len(ops) == 0 {
			return
		}
		slices.Sort(ops)
		for _, op := range ops {
			d := s.pending[op]
			delete(s.pending, op)
			done := Done{Op: op}
			switch d.Verb {
			case VerbProbe:
				done.Status.Seen = s.e.likely(d.Resource.Address)
			case VerbCheck:
				done.Status.Seen = SeenUp
			}
			s.step(done)
		}
	}
}

func (s *story) advance(to time.Time) {
	for range 100_000 {
		d := s.e.Deadline()
		if d.IsZero() || d.After(to) {
			break
		}
		if !d.After(s.now) {
			s.t.Fatalf("the deadline %s is not after now", s.clock(d))
		}
		s.now = d
		s.step(Tick{})
		s.work(1000)
	}
	s.now = to
	s.step(Tick{})
}

func (s *story) command(verb CommandVerb, args []string) {
	c := Command{ID: "1", Verb: verb, By: "alice"}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		switch {
		case !ok:
			c.Services = append(c.Services, a)
		case key == "resource":
			c.Resources = append(c.Resources, value)
		case key == "tag":
			c.Tags = append(c.Tags, value)
		case key == "reason":
			c.Reason = value
		case key == "for":
			c.Until = s.now.Add(duration(s.t, value))
		default:
			s.t.Fatalf("no such option %s", a)
		}
	}
	s.step(c)
}

func (s *story) status(only []string) {
	for _, v := range s.e.Snapshot(s.now).Services {
		if len(only) > 0 && !slices.Contains(only, v.FullName) {
			continue
		}
		line := fmt.Sprintf("%s is %s", v.FullName, v.State)
		if v.Undeclared {
			line += ", undeclared"
		}
		if v.Why != "" {
			line += ": " + v.Why
		}
		fmt.Fprintln(&s.out, "        "+line)
		for _, r := range v.Resources {
			line := fmt.Sprintf("  %s %s", r.Address.Local(), r.State)
			if r.Restarts > 0 {
				line += fmt.Sprintf(", restarts %d", r.Restarts)
			}
			if why := joinWhy(r.Error, r.Why); why != "" {
				line += ": " + why
			}
			if r.State == Down && r.Detail != "" {
				line += " (" + r.Detail + ")"
			}
			for _, c := range r.Checks {
				state := string(c.State)
				if c.State == CheckUp && c.Error != "" {
					state += ": " + c.Error
				}
				line += fmt.Sprintf(" [%s %s]", c.Name, state)
			}
			fmt.Fprintln(&s.out, "        "+line)
		}
		for _, v := range v.Tasks {
			s.taskStatus(v)
		}
	}
}

var storyKinds = map[string]*spec.Schema{
	"mount": {Name: "mount", Level: spec.LevelReset},
	"ip":    {Name: "ip", Level: spec.LevelGuard, Transparent: true},
	"app":   {Name: "app", Level: spec.LevelKernel},
	"task":  {Name: "task", Task: true},
}

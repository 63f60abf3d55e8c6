package spec

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/internal/cron"
)

type taskArguments struct {
	Schedule string        `hcl:"schedule,optional" doc:"When it runs: five fields as in a crontab (\"0 3 * * *\"), @yearly, @monthly, @weekly, @daily or @hourly, or \"@every 15m\". Without it the task runs only when asked: svcctl task run."`
	Timezone string        `hcl:"timezone,optional" doc:"The time zone of the schedule, as \"Europe/Paris\"; by default the node's own."`
	Spread   time.Duration `hcl:"spread" default:"0s" doc:"How much later than its time a run may begin, so that not all begin at once: each task on each node has a fixed delay of its own below this."`
	Timeout  time.Duration `hcl:"timeout" default:"24h" doc:"How long a run may take; then it is ended, and counts as failed."`
	Missed   string        `hcl:"missed" default:"skip" oneof:"skip run" doc:"What becomes of a run whose time passed while it could not begin, as with the host off: it is noted and left out; or one run makes up for all that were missed, as soon as it can."`
	Disabled bool          `hcl:"disabled,optional" doc:"Never runs."`
	Tags     []string      `hcl:"tags,optional" doc:"Words to select tasks by."`
}

// notForTasks are the arguments and blocks of resources that a task does not take, and
// what to write instead.
var notForTasks = map[string]string{
	"restart":      "A run that failed is not repeated: the next one comes at its time. What is to be tried again belongs into the command.",
	"check":        "A run says by its exit code whether it succeeded: let the command end with another code than 0 where it did not.",
	"timeouts":     `Write timeout = "1h": how long a run may take.`,
	"optional":     "Remove it: a run that fails changes nothing about its service.",
	"standby":      "Remove it: a task runs where its service is active.",
	"monitor":      "Remove it: the end of a run is always noticed.",
	"on_stuck":     "Remove it: a run that can't be ended is shown as stuck, and holds up nothing but the next run.",
	"before_start": "Let the command of the task do it.",
	"after_start":  "Let the command of the task do it.",
	"before_stop":  "Let the command of the task do it.",
	"after_stop":   "Let the command of the task do it.",
}

// Validate implements Validator.
func (a *taskArguments) Validate() []Problem { return positive(a.Timeout, "timeout") }

// newTask is a task without what its kind takes. It has no restarts, and its calls are
// bounded as those of a resource are.
func newTask(s *serviceDraft, d *resourceDraft, key string, a *taskArguments) *Resource {
	res := newResource(s, d, key, &resourceArguments{OnStuck: "kill", Disabled: a.Disabled, Tags: a.Tags})
	res.Task = &Task{Text: a.Schedule, Zone: a.Timezone, Spread: a.Spread, Timeout: a.Timeout, Missed: Missed(a.Missed)}
	return res
}

// schedule reads a task's schedule with its zone; false where one of them is mistaken.
func (x *evaluation) schedule(t *Task, p *part, body *hclsyntax.Body) bool {
	zone, ok := time.Local, true
	if t.Zone != "" {
		if zone = x.run.zone(t.Zone); zone == nil {
			ok = false
			x.report(codeZone, body.Attributes["timezone"].Expr.Range(), zoneHint(t.Zone), t.Zone)
		}
	}
	if t.Text == "" {
		if !p.unknown.has("schedule") && !p.failed.has("schedule") {
			x.unscheduled(body)
		}
		return ok
	}
	at := body.Attributes["schedule"].Expr.Range()
	schedule, err := cron.Parse(t.Text, zone)
	var mistake *cron.Error
	if errors.As(err, &mistake) {
		x.report(codeSchedule, at, mistake.Write, mistake.Wrong)
		return false
	}
	if d := shortest(schedule); t.Spread > d && ok {
		x.report(codeSpread, body.Attributes["spread"].Expr.Range(), fmt.Sprintf("It is due every %s at times: write at most that.", d), "spread")
	}
	if ok && !p.unknown.has("timezone") {
		t.Schedule = schedule
	}
	return ok
}

// unscheduled warns of what only a schedule gives a meaning.
func (x *evaluation) unscheduled(body *hclsyntax.Body) {
	for _, name := range []string{"timezone", "spread", "missed"} {
		if a := body.Attributes[name]; a != nil {
			x.report(codeUnused, a.NameRange, fmt.Sprintf("Add schedule = \"…\", or remove %s.", name), name, "without a schedule")
		}
	}
}

// shortest is the time between two of the next due times of a schedule that lie closest,
// seen from a fixed day, so that a set is judged alike whenever it is read.
func shortest(s *cron.Schedule) time.Duration {
	const sample = 100
	least := time.Duration(math.MaxInt64)
	at := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for range sample {
		next := s.Next(at)
		if next.IsZero() {
			break
		}
		least, at = min(least, next.Sub(at)), next
	}
	return least
}

// zone loads a time zone, once; nil if there is none of that name.
func (l *Loader) zone(name string) *time.Location {
	l.shared.Lock()
	defer l.shared.Unlock()
	z, known := l.zones[name]
	if !known {
		if name != "Local" { // to Go this is a name for the node's own
			z, _ = time.LoadLocation(name) // why it can't be read is always that it is not there
		}
		if len(l.zones) > 1000 { // a set that is edited for years
			clear(l.zones)
		}
		l.zones[name] = z
	}
	return z
}

// zoneNames are the names of the IANA time zone database in use, one a line.
//
//go:embed zones.txt
var zoneNames string

func zoneHint(name string) string {
	names := strings.Fields(zoneNames)
	city := name[strings.LastIndexByte(name, '/')+1:]
	for _, n := range names { // the right city is the likeliest part of a wrong name
		if strings.EqualFold(n[strings.LastIndexByte(n, '/')+1:], strings.ReplaceAll(city, " ", "_")) {
			return fmt.Sprintf("Did you mean %q?", n)
		}
	}
	if n := Nearest(name, names); n != "" {
		return fmt.Sprintf("Did you mean %q?", n)
	}
	return `Write a name of the IANA database such as "Europe/Paris" or "UTC", or leave it out for the node's own.`
}

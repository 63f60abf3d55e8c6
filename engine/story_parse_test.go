package engine

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/svcctl/svcctl/internal/cron"
	"github.com/svcctl/svcctl/spec"
)

func version(r *spec.Resource) string {
	v, _ := r.Config.(string)
	return v
}

func parseService(t *testing.T, args, more []string) *spec.Service {
	ns, name, ok := strings.Cut(args[0], "/")
	if !ok {
		ns, name = spec.DefaultNamespace, args[0]
	}
	s := &spec.Service{Name: name, Namespace: ns, FullName: args[0], Topology: spec.Failover, Orchestrate: spec.Auto, OnFailure: spec.Relocate,
		Digest: spec.Digest(strings.Join(args, " ") + strings.Join(more, "\n"))}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "requires":
			s.Requires = strings.Split(value, ",")
		case "nodes":
			s.Nodes = strings.Split(value, ",")
		case "orchestrate":
			s.Orchestrate = spec.Orchestrate(value)
		case "on_failure":
			s.OnFailure = spec.OnFailure(value)
		default:
			t.Fatalf("no such argument %s", a)
		}
	}
	for _, line := range more {
		if r := parseResource(t, s.FullName, line); r.Kind == "task" {
			s.Tasks = append(s.Tasks, r)
		} else {
			s.Resources = append(s.Resources, r)
		}
	}
	return s
}

// parseTask reads what only a task takes: schedule=*/5_*_*_*_* spread=10m timeout=1h missed=run.
func parseTask(t *testing.T, p *spec.Task, key, value string) bool {
	switch key {
	case "schedule":
		schedule, err := cron.Parse(strings.ReplaceAll(value, "_", " "), time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		p.Schedule, p.Text = schedule, strings.ReplaceAll(value, "_", " ")
	case "spread":
		p.Spread = duration(t, value)
	case "timeout":
		p.Timeout = duration(t, value)
	case "missed":
		p.Missed = spec.Missed(value)
	default:
		return false
	}
	return true
}

// parseResource reads "kind.name after=a,b v=1 live=1 restart=N/within/backoff check=name/every/fall/rise/on_fall ready start=5s stop=5s optional …".
func parseResource(t *testing.T, service, line string) *spec.Resource {
	words := strings.Fields(line)
	kind, name, _ := strings.Cut(words[0], ".")
	r := &spec.Resource{Address: spec.Address(service + "/" + words[0]), Service: service, Kind: kind, Name: name,
		Schema: storyKinds[kind], Monitor: true, OnStuck: "kill", Restart: spec.DefaultRestart,
		Timeouts: spec.Timeouts{Start: time.Minute, Stop: 30 * time.Second}, Range: hcl.Range{}}
	if kind == "task" {
		r.Task, r.Monitor = &spec.Task{Missed: spec.MissedSkip}, false
	}
	config, fixed := "", ""
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "after":
			for _, a := range strings.Split(value, ",") {
				r.After = append(r.After, spec.Address(service+"/"+a))
			}
			slices.Sort(r.After)
		case "v":
			config += value
			fixed += value
		case "live":
			config += "+" + value
		case "restart":
			f := strings.Split(value, "/")
			r.Restart.Attempts, r.Restart.Within, r.Restart.Backoff = int(number(t, f[0])), duration(t, f[1]), duration(t, f[2])
		case "check":
			f := strings.Split(value, "/")
			r.Checks = append(r.Checks, &spec.Check{Name: f[0], Kind: "http", Digest: spec.Digest(value), Every: duration(t, f[1]), Timeout: time.Second,
				Fall: int(number(t, f[2])), Rise: int(number(t, f[3])), OnFall: spec.OnFall(f[4])})
		case "ready":
			r.ReadyByChecks = true
		case "after_start":
			r.Hooks.AfterStart = []string{value}
		case "start":
			r.Timeouts.Start = duration(t, value)
		case "stop":
			r.Timeouts.Stop = duration(t, value)
		case "optional":
			r.Optional = true
		case "standby":
			r.Standby = true
		case "disabled":
			r.Disabled = true
		case "unmonitored":
			r.Monitor = false
		case "on_stuck":
			r.OnStuck = value
		case "tag":
			r.Tags = append(r.Tags, value)
		default:
			if r.Task == nil || !parseTask(t, r.Task, key, value) {
				t.Fatalf("no such argument %s", w)
			}
		}
	}
	r.Config, r.Digest, r.Fixed = config, spec.Digest(config), spec.Digest(fixed)
	return r
}

func parseStatus(t *testing.T, words []string) Status {
	st := Status{Seen: Seen(words[0])}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "exit":
			st.Exit = &Exit{Code: int(number(t, value))}
		case "pid":
			st.PID = int(number(t, value))
		case "signal":
			st.Exit = &Exit{Code: -1, Signal: value}
		default:
			st.Detail = strings.TrimSpace(st.Detail + " " + w)
		}
	}
	return st
}

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

func TestEveryErrorHasItsExitCode(t *testing.T) {
	for code, errs := range map[int][]error{
		0: {nil},
		1: {errors.New("x"), failed("x"), findings(), &api.Problem{Status: http.StatusUnprocessableEntity}},
		2: {usage("x"), fmt.Errorf("y: %w", usage("x"))},
		3: {context.DeadlineExceeded, &api.Problem{Status: http.StatusGatewayTimeout}, &exitError{code: exitTimeout, err: errors.New("x")}},
		4: {fmt.Errorf("%w at x", api.ErrNoAgent)},
		5: {&api.Problem{Status: http.StatusForbidden}, &api.Problem{Status: http.StatusConflict}},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != code {
				t.Errorf("%v exits %d, want %d", err, got, code)
			}
		}
	}
}

func TestAWishIsJudgedByWhatIsTrue(t *testing.T) {
	then := morning
	resource := func(state engine.State, change ...func(*api.ResourceStatus)) api.ResourceStatus {
		r := api.ResourceStatus{Address: "orders/app.main", State: state, Since: then, Error: "no such user", Tags: []string{"front"}}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	givenUp := func(r *api.ResourceStatus) { r.GivenUp = true }
	optional := func(r *api.ResourceStatus) { r.Optional = true }
	later := func(r *api.ResourceStatus) { r.Since = then.Add(time.Nanosecond) }
	for _, c := range []struct {
		name      string
		verb      engine.CommandVerb
		state     engine.InstanceState
		available bool
		resource  api.ResourceStatus
		part      string
		want      string // done, pending or lost
	}{
		{"up", engine.CommandStart, engine.InstanceUp, true, resource(engine.Up), "", "done"},
		{"a check is down, everything runs", engine.CommandStart, engine.InstanceDegraded, true, resource(engine.Up), "", "done"},
		{"still starting", engine.CommandStart, engine.InstanceStarting, false, resource(engine.Starting), "", "pending"},
		{"failed, will be retried", engine.CommandStart, engine.InstanceFailed, false, resource(engine.Failed), "", "pending"},
		{"failed for good", engine.CommandStart, engine.InstanceDegraded, false, resource(engine.Failed, givenUp), "", "lost"},
		{"failed for good, but optional", engine.CommandStart, engine.InstanceStarting, false, resource(engine.Failed, givenUp, optional), "", "pending"},
		{"stuck", engine.CommandStop, engine.InstanceStuck, false, resource(engine.Stuck, givenUp), "", "lost"},
		{"down", engine.CommandStop, engine.InstanceDown, false, resource(engine.Down), "", "done"},
		{"only standby is left", engine.CommandStop, engine.InstanceStandby, false, resource(engine.Up), "", "done"},
		{"stopping", engine.CommandStop, engine.InstanceStopping, true, resource(engine.Stopping), "", "pending"},
		{"not restarted yet", engine.CommandRestart, engine.InstanceUp, true, resource(engine.Up), "", "pending"},
		{"restarted", engine.CommandRestart, engine.InstanceUp, true, resource(engine.Up, later), "", "done"},
		{"purged is gone", engine.CommandPurge, engine.InstanceDown, false, resource(engine.Down), "", "pending"},
		{"the part is up, the rest is not", engine.CommandStart, engine.InstanceDegraded, false, resource(engine.Up), "app.main", "done"},
		{"the part is down, the rest is not", engine.CommandStop, engine.InstanceDegraded, false, resource(engine.Down), "app.main", "done"},
		{"another part is lost", engine.CommandStart, engine.InstanceDegraded, true, resource(engine.Failed, givenUp), "app.other", "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wait{verb: c.verb, services: []string{"orders"}, before: map[spec.Address]time.Time{"orders/app.main": then}}
			if c.part != "" {
				w.resources = []string{c.part}
			}
			v := w.judge(&api.Status{Services: []api.ServiceStatus{{
				Name: "orders", Namespace: "default", State: c.state, Available: c.available,
				Instances: []api.InstanceStatus{{Resources: []api.ResourceStatus{c.resource}}},
			}}})
			got := "done"
			switch {
			case len(v.lost) > 0:
				got = "lost"
			case len(v.pending) > 0:
				got = "pending"
			}
			if got != c.want {
				t.Errorf("%s, want %s: %+v", got, c.want, v)
			}
			if got == "lost" && !strings.Contains(v.lost[0], "no such user") {
				t.Errorf("does not say why: %v", v.lost)
			}
		})
	}
	gone := &wait{verb: engine.CommandPurge, services: []string{"orders"}}
	if v := gone.judge(&api.Status{}); len(v.pending)+len(v.lost) > 0 {
		t.Errorf("a purged service is still waited for: %+v", v)
	}
}

package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// withTasks is an agent with tasks: one that ran, in a namespace, and one that never did.
func withTasks() *scripted {
	a := newScripted()
	a.snap.Services[0].Tasks = []engine.TaskView{{Address: "orders/task.report", Kind: "task", State: engine.TaskWaiting, Why: "orders is starting"}}
	a.snap.Services[1].Tasks = []engine.TaskView{{
		Address: "shop/web/task.backup", Kind: "task", State: engine.TaskIdle, Schedule: "0 3 * * *", Next: noon.Add(15 * time.Hour),
		Last: &engine.Run{Due: noon, Started: noon, Ended: noon.Add(time.Minute), Result: engine.RunFailed, Why: "exited with code 3",
			Exit: &engine.Exit{Code: 3}},
	}}
	a.runs = map[spec.Address][]engine.Run{"shop/web/task.backup": {{Started: noon, Result: engine.RunFailed}, {Started: noon.Add(-time.Hour), Result: engine.RunSucceeded}}}
	return a
}

func TestStatusShowsTasksBesideResources(t *testing.T) {
	reply := get(t, withTasks(), "/v1/status?service=shop/web")
	var doc, want map[string]any
	if err := json.Unmarshal(reply.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"services":[{"name":"web","instances":[{"resources":[],"tasks":[
	 {"address":"shop/web/task.backup","kind":"task","state":"idle","schedule":"0 3 * * *","next":"2026-05-02T03:00:00Z",
	  "last":{"due":"2026-05-01T12:00:00Z","started":"2026-05-01T12:00:00Z","ended":"2026-05-01T12:01:00Z","result":"failed",
	   "exit":{"code":3},"why":"exited with code 3"}}]}]}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if missing := lacks(want, doc, "$"); len(missing) > 0 {
		t.Errorf("%s\n%s", strings.Join(missing, "\n"), reply.Body)
	}
}

func TestStatusShowsWhatARunningCheckMeasured(t *testing.T) {
	a := newScripted()
	a.measured = Measured{"orders/app.main": {"ready": {{Label: "time", Value: 0.25, Unit: "seconds"}}}}
	if text := get(t, a, "/v1/status").Body.String(); !strings.Contains(text, `"values":[{"label":"time","value":0.25,"unit":"seconds"}]`) {
		t.Error(text)
	}
	a.snap.Services[0].Resources[1].Checks[0].State = engine.CheckUnknown
	if text := get(t, a, "/v1/status").Body.String(); strings.Contains(text, `"values"`) {
		t.Errorf("a check that does not run shows values: %s", text)
	}
	a.measured = Measured{"orders/app.main": {"gone": []drivers.Perf{{Label: "time"}}}}
	a.snap.Services[0].Resources[1].Checks[0].State = engine.CheckUp
	if text := get(t, a, "/v1/status").Body.String(); strings.Contains(text, `"values"`) {
		t.Errorf("a check that is gone shows values: %s", text)
	}
}

func TestTasksAreListedRunAndHalted(t *testing.T) {
	a := withTasks()
	c, _ := serve(t, a, newFeed())
	ctx := within(t)
	all, err := c.Tasks(ctx)
	if err != nil || len(all.Tasks) != 2 || all.Tasks[0].Why != "orders is starting" {
		t.Errorf("%+v %v", all, err)
	}
	some, err := c.Tasks(ctx, "default/orders")
	if err != nil || len(some.Tasks) != 1 || some.Tasks[0].Address != "orders/task.report" {
		t.Errorf("%+v %v", some, err)
	}
	h, err := c.TaskHistory(ctx, "shop/web/task.backup", 1)
	if err != nil || len(h.Runs) != 1 || h.Runs[0].Result != engine.RunFailed {
		t.Errorf("%+v %v", h, err)
	}
	if h, err = c.TaskHistory(ctx, "default/orders/task.report", 5); err != nil || len(h.Runs) != 0 || h.Address != "orders/task.report" {
		t.Errorf("%+v %v", h, err)
	}
	if err := c.RunTasks(ctx, TasksBody{Addresses: []spec.Address{"shop/web/task.backup", "default/orders/task.report"}, Reason: "ticket 42"}); err != nil {
		t.Error(err)
	}
	if err := c.HaltTasks(ctx, TasksBody{Addresses: []spec.Address{"shop/web/task.backup"}}); err != nil {
		t.Error(err)
	}
	want := []engine.Command{
		{Verb: engine.CommandRun, Services: []string{"orders", "shop/web"}, Resources: []string{"shop/web/task.backup", "orders/task.report"}, Reason: "ticket 42"},
		{Verb: engine.CommandHalt, Services: []string{"shop/web"}, Resources: []string{"shop/web/task.backup"}},
	}
	for i := range a.commands {
		a.commands[i].By = ""
	}
	if !reflect.DeepEqual(a.commands, want) {
		t.Errorf("the agent was asked %+v", a.commands)
	}
}

func TestWhatCannotBeAskedOfTasksIsAProblem(t *testing.T) {
	a := withTasks()
	c, _ := serve(t, a, newFeed())
	ctx := within(t)
	for _, one := range []struct {
		err  error
		want int
	}{
		{c.RunTasks(ctx, TasksBody{}), http.StatusBadRequest},
		{c.RunTasks(ctx, TasksBody{Addresses: []spec.Address{"orders/app.main"}}), http.StatusNotFound},
		{c.HaltTasks(ctx, TasksBody{Addresses: []spec.Address{"nothing"}}), http.StatusNotFound},
		{second(c.TaskHistory(ctx, "orders/task.none", 5)), http.StatusNotFound},
		{second(c.TaskHistory(ctx, "orders/task.report", 0)), http.StatusBadRequest},
		{second(c.TaskHistory(ctx, "orders/task.report", MaxTaskRuns+1)), http.StatusBadRequest},
	} {
		if !IsProblem(one.err, one.want) {
			t.Errorf("answered %v, want %d", one.err, one.want)
		}
	}
	if len(a.commands) > 0 {
		t.Errorf("the agent was asked %+v", a.commands)
	}
	a.refusal = engine.ErrRefused
	if err := c.RunTasks(ctx, TasksBody{Addresses: []spec.Address{"orders/task.report"}}); !IsProblem(err, http.StatusConflict) {
		t.Errorf("a refusal is answered %v", err)
	}
}

func second(_ *TaskHistory, err error) error { return err }

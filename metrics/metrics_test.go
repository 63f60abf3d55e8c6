package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

type world struct {
	snap *engine.Snapshot
	err  error
	spec Spec

	measured Measured
}

func (w world) Snapshot(context.Context) (*engine.Snapshot, error) { return w.snap, w.err }
func (w world) Measured(context.Context) (Measured, error)         { return w.measured, nil }
func (w world) Spec() Spec                                         { return w.spec }

func aWorld() world {
	return world{
		spec: Spec{Valid: true, Revision: 12, Reloaded: time.UnixMilli(1_700_000_000_500)},
		snap: &engine.Snapshot{Node: "n1", Services: []*engine.ServiceView{{
			FullName: "shop/orders", Namespace: "shop", Name: "orders", State: engine.InstanceDegraded,
			Frozen: &engine.Freeze{By: "root"}, Active: true,
			Resources: []engine.ResourceView{
				{Address: "shop/orders/mount.data", Kind: "mount", State: engine.Up},
				{Address: `shop/orders/app.worker["a"]`, Kind: "app", State: engine.Failed, Restarts: 3, Checks: []engine.CheckView{
					{Name: "ready", Kind: "http", State: engine.CheckUp}, {Name: "deep", Kind: "exec", State: engine.CheckDown},
					{Name: "idle", Kind: "exec", State: engine.CheckUnknown},
				}},
			},
			Tasks: []engine.TaskView{
				{
					Address: "shop/orders/task.backup", Kind: "task", State: engine.TaskRunning, Next: time.Unix(1_700_003_600, 0),
					LastSuccess: time.Unix(1_699_999_000, 0),
					Last:        &engine.Run{Started: time.Unix(1_700_000_000, 0), Ended: time.UnixMilli(1_700_000_012_500), Result: engine.RunTimeout},
				},
				{Address: "shop/orders/task.report", Kind: "task", State: engine.TaskIdle, Last: &engine.Run{Result: engine.RunMissed}},
				{Address: "shop/orders/task.new", Kind: "task", State: engine.TaskIdle},
			},
		}}},
		measured: Measured{`shop/orders/app.worker["a"]`: {
			"deep":  {{Label: "/srv", Value: 0.5, Unit: "ratio"}, {Label: "queries", Value: 17, Counter: true}},
			"idle":  {{Label: "old", Value: 1}},
			"other": {{Label: "gone", Value: 1}},
		}},
	}
}

func TestASnapshotBecomesMetrics(t *testing.T) {
	want := `
# HELP svcctl_check_up 1 while the check passes.
# TYPE svcctl_check_up gauge
svcctl_check_up{check="deep",kind="exec",namespace="shop",resource="app.worker[\"a\"]",service="orders"} 0
svcctl_check_up{check="idle",kind="exec",namespace="shop",resource="app.worker[\"a\"]",service="orders"} 0
svcctl_check_up{check="ready",kind="http",namespace="shop",resource="app.worker[\"a\"]",service="orders"} 1
# HELP svcctl_resource_restarts_total Starts after a failure, since the agent knows the resource.
# TYPE svcctl_resource_restarts_total counter
svcctl_resource_restarts_total{kind="app",namespace="shop",resource="app.worker[\"a\"]",service="orders"} 3
svcctl_resource_restarts_total{kind="mount",namespace="shop",resource="mount.data",service="orders"} 0
# HELP svcctl_resource_state Always 1; the label says in which state the resource is.
# TYPE svcctl_resource_state gauge
svcctl_resource_state{kind="app",namespace="shop",resource="app.worker[\"a\"]",service="orders",state="failed"} 1
svcctl_resource_state{kind="mount",namespace="shop",resource="mount.data",service="orders",state="up"} 1
# HELP svcctl_service_frozen 1 where an operator stopped every automatic action on the service.
# TYPE svcctl_service_frozen gauge
svcctl_service_frozen{namespace="shop",service="orders"} 1
# HELP svcctl_service_state State of the service: 1 for the one it is in.
# TYPE svcctl_service_state gauge
svcctl_service_state{namespace="shop",service="orders",state="degraded"} 1
svcctl_service_state{namespace="shop",service="orders",state="down"} 0
svcctl_service_state{namespace="shop",service="orders",state="failed"} 0
svcctl_service_state{namespace="shop",service="orders",state="standby"} 0
svcctl_service_state{namespace="shop",service="orders",state="starting"} 0
svcctl_service_state{namespace="shop",service="orders",state="stopping"} 0
svcctl_service_state{namespace="shop",service="orders",state="stuck"} 0
svcctl_service_state{namespace="shop",service="orders",state="unknown"} 0
svcctl_service_state{namespace="shop",service="orders",state="up"} 0
# HELP svcctl_service_up 1 where everything in the service that is neither optional nor disabled is up.
# TYPE svcctl_service_up gauge
svcctl_service_up{namespace="shop",service="orders"} 0
# HELP svcctl_spec_reload_timestamp_seconds When the revision in force was put there.
# TYPE svcctl_spec_reload_timestamp_seconds gauge
svcctl_spec_reload_timestamp_seconds 1.7000000005e+09
# HELP svcctl_spec_revision Number of the revision in force.
# TYPE svcctl_spec_revision gauge
svcctl_spec_revision 12
`
	err := testutil.CollectAndCompare(NewCollector(aWorld(), "1.0"), strings.NewReader(want),
		"svcctl_check_up", "svcctl_resource_restarts_total", "svcctl_resource_state", "svcctl_service_frozen",
		"svcctl_service_state", "svcctl_service_up", "svcctl_spec_reload_timestamp_seconds", "svcctl_spec_revision")
	if err != nil {
		t.Error(err)
	}
}

func TestTasksAndWhatChecksMeasureBecomeMetrics(t *testing.T) {
	want := `
# HELP svcctl_check_value What a check measured last.
# TYPE svcctl_check_value gauge
svcctl_check_value{check="deep",label="/srv",namespace="shop",resource="app.worker[\"a\"]",service="orders",unit="ratio"} 0.5
# HELP svcctl_check_value_total What a check read last of a counter.
# TYPE svcctl_check_value_total counter
svcctl_check_value_total{check="deep",label="queries",namespace="shop",resource="app.worker[\"a\"]",service="orders",unit=""} 17
# HELP svcctl_task_last_duration_seconds How long the last run took.
# TYPE svcctl_task_last_duration_seconds gauge
svcctl_task_last_duration_seconds{namespace="shop",service="orders",task="task.backup"} 12.5
# HELP svcctl_task_last_result How the task's last run ended: 1 for its result.
# TYPE svcctl_task_last_result gauge
svcctl_task_last_result{namespace="shop",result="failed",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="lost",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="missed",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="skipped",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="stopped",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="succeeded",service="orders",task="task.backup"} 0
svcctl_task_last_result{namespace="shop",result="timeout",service="orders",task="task.backup"} 1
svcctl_task_last_result{namespace="shop",result="failed",service="orders",task="task.report"} 0
svcctl_task_last_result{namespace="shop",result="lost",service="orders",task="task.report"} 0
svcctl_task_last_result{namespace="shop",result="missed",service="orders",task="task.report"} 1
svcctl_task_last_result{namespace="shop",result="skipped",service="orders",task="task.report"} 0
svcctl_task_last_result{namespace="shop",result="stopped",service="orders",task="task.report"} 0
svcctl_task_last_result{namespace="shop",result="succeeded",service="orders",task="task.report"} 0
svcctl_task_last_result{namespace="shop",result="timeout",service="orders",task="task.report"} 0
# HELP svcctl_task_last_run_timestamp_seconds When the last run began.
# TYPE svcctl_task_last_run_timestamp_seconds gauge
svcctl_task_last_run_timestamp_seconds{namespace="shop",service="orders",task="task.backup"} 1.7e+09
# HELP svcctl_task_last_success_timestamp_seconds When the last run that succeeded ended.
# TYPE svcctl_task_last_success_timestamp_seconds gauge
svcctl_task_last_success_timestamp_seconds{namespace="shop",service="orders",task="task.backup"} 1.699999e+09
# HELP svcctl_task_next_run_timestamp_seconds When the task is due next.
# TYPE svcctl_task_next_run_timestamp_seconds gauge
svcctl_task_next_run_timestamp_seconds{namespace="shop",service="orders",task="task.backup"} 1.7000036e+09
# HELP svcctl_task_state Always 1; the label says what the task does.
# TYPE svcctl_task_state gauge
svcctl_task_state{namespace="shop",service="orders",state="idle",task="task.new"} 1
svcctl_task_state{namespace="shop",service="orders",state="idle",task="task.report"} 1
svcctl_task_state{namespace="shop",service="orders",state="running",task="task.backup"} 1
`
	err := testutil.CollectAndCompare(NewCollector(aWorld(), "1.0"), strings.NewReader(want),
		"svcctl_check_value", "svcctl_check_value_total", "svcctl_task_last_duration_seconds", "svcctl_task_last_result",
		"svcctl_task_last_run_timestamp_seconds", "svcctl_task_last_success_timestamp_seconds", "svcctl_task_next_run_timestamp_seconds",
		"svcctl_task_state")
	if err != nil {
		t.Error(err)
	}
}

func TestEveryNameOfTheContractIsThere(t *testing.T) {
	text := scrape(t, aWorld())
	for _, name := range []string{
		"svcctl_service_up", "svcctl_service_state", "svcctl_instance_state", "svcctl_resource_state",
		"svcctl_resource_restarts_total", "svcctl_action_duration_seconds", "svcctl_check_up",
		"svcctl_check_duration_seconds", "svcctl_relocations_total", "svcctl_relocation_duration_seconds",
		"svcctl_spec_valid", "svcctl_spec_revision", "svcctl_spec_reload_timestamp_seconds",
		"svcctl_cluster_quorate", "svcctl_cluster_leader", "svcctl_node_state", "svcctl_build_info",
		"svcctl_task_last_success_timestamp_seconds",
	} {
		if !strings.Contains(text, "# TYPE "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

func scrape(t *testing.T, w world) string {
	t.Helper()
	r := NewRecorder()
	r.ObserveAction("mount", string(engine.VerbStart), 20*time.Millisecond, nil)
	r.ObserveAction("mount", string(engine.VerbStart), time.Second, errors.New("no device"))
	r.ObserveCheck("http", time.Millisecond)
	r.ObserveRelocation("node-lost", 3*time.Second)
	r.ObserveReload(false)
	r.ObserveRun("shop/orders/task.backup", engine.RunFailed)
	r.ObserveRun("shop/orders/task.gone", engine.RunFailed)
	r.ForgetTask("shop/orders/task.gone")
	reply := httptest.NewRecorder()
	Handler(w, r, "1.0").ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if reply.Code != http.StatusOK && w.err == nil {
		t.Fatalf("scrape: %d %s", reply.Code, reply.Body)
	}
	return reply.Body.String()
}

// The registry that serves checks less than this one, which is too slow for many services.
func TestAPedanticRegistryAgrees(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(aWorld(), "1.0"))
	if families, err := registry.Gather(); err != nil || len(families) != 22 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

func TestTheRecorderCountsDurationsAndFailures(t *testing.T) {
	text := scrape(t, aWorld())
	for _, line := range []string{
		`svcctl_action_duration_seconds_count{kind="mount",verb="start"} 2`,
		`svcctl_action_failures_total{kind="mount",verb="start"} 1`,
		`svcctl_check_duration_seconds_count{kind="http"} 1`,
		`svcctl_relocations_total{reason="node-lost"} 1`,
		`svcctl_spec_reloads_total{result="refused"} 1`,
		`svcctl_task_runs_total{namespace="shop",result="failed",service="orders",task="task.backup"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s\n%s", line, text)
		}
	}
	if strings.Contains(text, "task.gone") {
		t.Error("a task that is forgotten is still counted")
	}
}

func TestTheLinterOfPrometheusFindsNothing(t *testing.T) {
	problems, err := testutil.CollectAndLint(NewCollector(aWorld(), "1.0"))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewRecorder().collectors()...)
	if problems, err = testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestPromtoolFindsNothing(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian: prometheus)")
	}
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, aWorld()))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestAnAgentThatDoesNotAnswerFailsTheScrape(t *testing.T) {
	w := aWorld()
	w.err = errors.New("the agent is ending")
	r := NewRecorder()
	reply := httptest.NewRecorder()
	Handler(w, r, "1.0").ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Code != http.StatusInternalServerError || !strings.Contains(string(body), "the agent is ending") {
		t.Errorf("answered %d %s", reply.Code, body)
	}
}

func BenchmarkScrapeAThousandServices(b *testing.B) {
	w := aWorld()
	one := *w.snap.Services[0]
	w.snap.Services = nil
	for i := range 1000 {
		s := one
		s.Name = "s" + string(rune('a'+i/26/26%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i%26))
		s.FullName = spec.FullName(s.Namespace, s.Name)
		w.snap.Services = append(w.snap.Services, &s)
	}
	h := Handler(w, NewRecorder(), "1.0")
	b.ReportAllocs()
	for b.Loop() {
		reply := httptest.NewRecorder()
		h.ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if reply.Code != http.StatusOK {
			b.Fatal(reply.Code)
		}
	}
}

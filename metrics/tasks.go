package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// Measured is what the checks of resources measured last, by the check's name.
type Measured map[spec.Address]map[string][]Value

// Value is one value that a check measured. The labels of one check's values differ.
type Value struct {
	Label   string
	Value   float64
	Unit    string
	Counter bool
}

var (
	taskState       = desc("task_state", "Always 1; the label says what the task does.", "namespace", "service", "task", "state")
	taskLastResult  = desc("task_last_result", "How the task's last run ended: 1 for its result.", "namespace", "service", "task", "result")
	taskLastSuccess = desc("task_last_success_timestamp_seconds", "When the last run that succeeded ended.", "namespace", "service", "task")
	taskLastRun     = desc("task_last_run_timestamp_seconds", "When the last run began.", "namespace", "service", "task")
	taskDuration    = desc("task_last_duration_seconds", "How long the last run took.", "namespace", "service", "task")
	taskNextRun     = desc("task_next_run_timestamp_seconds", "When the task is due next.", "namespace", "service", "task")
	checkValue      = desc("check_value", "What a check measured last.", "namespace", "service", "resource", "check", "label", "unit")
	checkCounter    = desc("check_value_total", "What a check read last of a counter.", "namespace", "service", "resource", "check", "label", "unit")
)

func collectTask(gauge func(*prometheus.Desc, float64, ...string), v *engine.ServiceView, t *engine.TaskView) {
	name := t.Address.Local()
	moment := func(d *prometheus.Desc, at time.Time) {
		if !at.IsZero() {
			gauge(d, float64(at.UnixMilli())/1000, v.Namespace, v.Name, name)
		}
	}
	gauge(taskState, 1, v.Namespace, v.Name, name, string(t.State))
	moment(taskLastSuccess, t.LastSuccess)
	moment(taskNextRun, t.Next)
	last := t.Last
	if last == nil {
		return
	}
	for _, result := range engine.RunResults {
		gauge(taskLastResult, truth(last.Result == result), v.Namespace, v.Name, name, string(result))
	}
	moment(taskLastRun, last.Started)
	if !last.Started.IsZero() && !last.Ended.IsZero() {
		gauge(taskDuration, last.Ended.Sub(last.Started).Seconds(), v.Namespace, v.Name, name)
	}
}

func collectValues(out chan<- prometheus.Metric, v *engine.ServiceView, r *engine.ResourceView, check string, values []Value) {
	for _, value := range values {
		d, kind := checkValue, prometheus.GaugeValue
		if value.Counter {
			d, kind = checkCounter, prometheus.CounterValue
		}
		m, err := prometheus.NewConstMetric(d, kind, value.Value, v.Namespace, v.Name, r.Address.Local(), check, value.Label, value.Unit)
		if err != nil { // its words come from outside
			m = prometheus.NewInvalidMetric(d, err)
		}
		out <- m
	}
}

func newRuns() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "svcctl_task_runs_total",
		Help: "Runs of a task that ended or did not come about, by result, since the agent started.",
	}, []string{"namespace", "service", "task", "result"})
}

// ObserveRun counts a run of a task that ended, or did not come about.
func (r *Recorder) ObserveRun(task spec.Address, result engine.RunResult) {
	namespace, service := split(task)
	r.runs.WithLabelValues(namespace, service, task.Local(), string(result)).Inc()
}

// ForgetTask drops the counters of a task that is no more.
func (r *Recorder) ForgetTask(task spec.Address) {
	namespace, service := split(task)
	r.runs.DeletePartialMatch(prometheus.Labels{"namespace": namespace, "service": service, "task": task.Local()})
}

func split(task spec.Address) (namespace, service string) {
	namespace, service, found := strings.Cut(task.Service(), "/")
	if !found {
		return spec.DefaultNamespace, task.Service()
	}
	return namespace, service
}

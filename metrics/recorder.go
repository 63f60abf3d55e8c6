package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Recorder counts what a snapshot can't tell: how long things took. Safe for
// concurrent use; an observation costs no allocation once its labels were seen.
type Recorder struct {
	actions            *prometheus.HistogramVec
	actionFailures     *prometheus.CounterVec
	checks             *prometheus.HistogramVec
	relocations        *prometheus.CounterVec
	relocationDuration prometheus.Histogram
	reloads            *prometheus.CounterVec
	runs               *prometheus.CounterVec
}

// NewRecorder returns an empty one.
func NewRecorder() *Recorder {
	return &Recorder{
		runs: newRuns(),
		actions: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "svcctl_action_duration_seconds",
			Help:    "Time that driver calls took, by kind of resource and verb.",
			Buckets: []float64{.001, .005, .02, .1, .5, 1, 2, 5, 10, 30, 120, 600},
		}, []string{"kind", "verb"}),
		actionFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "svcctl_action_failures_total",
			Help: "Driver calls that ended with an error, by kind of resource and verb.",
		}, []string{"kind", "verb"}),
		// By kind of check alone: a histogram for every check of thousands would cost
		// more than it tells, and svcctl_check_up names the check.
		checks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "svcctl_check_duration_seconds",
			Help:    "Time that checks took, by kind of check.",
			Buckets: []float64{.0005, .002, .01, .05, .2, 1, 5, 30},
		}, []string{"kind"}),
		relocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "svcctl_relocations_total",
			Help: "Services moved to another node, by reason.",
		}, []string{"reason"}),
		relocationDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "svcctl_relocation_duration_seconds",
			Help:    "Time from the loss of a service on one node to its being up on another.",
			Buckets: []float64{.5, 1, 2, 3, 5, 8, 13, 30, 60, 300},
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "svcctl_spec_reloads_total",
			Help: "Changed declarations read, by result: applied or refused.",
		}, []string{"result"}),
	}
}

// ObserveAction counts a driver call; verb is an engine.Verb.
func (r *Recorder) ObserveAction(kind, verb string, took time.Duration, err error) {
	r.actions.WithLabelValues(kind, verb).Observe(took.Seconds())
	if err != nil {
		r.actionFailures.WithLabelValues(kind, verb).Inc()
	}
}

// ObserveCheck counts one run of a check.
func (r *Recorder) ObserveCheck(kind string, took time.Duration) {
	r.checks.WithLabelValues(kind).Observe(took.Seconds())
}

// ObserveRelocation counts a service that was moved; reason is one of a few words.
func (r *Recorder) ObserveRelocation(reason string, took time.Duration) {
	r.relocations.WithLabelValues(reason).Inc()
	r.relocationDuration.Observe(took.Seconds())
}

// ObserveReload counts a changed declaration that was applied or refused.
func (r *Recorder) ObserveReload(applied bool) {
	result := "refused"
	if applied {
		result = "applied"
	}
	r.reloads.WithLabelValues(result).Inc()
}

func (r *Recorder) collectors() []prometheus.Collector {
	return []prometheus.Collector{r.actions, r.actionFailures, r.checks, r.relocations, r.relocationDuration, r.reloads, r.runs}
}

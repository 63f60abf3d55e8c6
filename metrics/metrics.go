// Package metrics is a Prometheus view of a snapshot.
package metrics

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/svcctl/svcctl/engine"
)

// Source is where a scrape reads. Its methods are safe for concurrent use.
type Source interface {
	Snapshot(ctx context.Context) (*engine.Snapshot, error)
	Measured(ctx context.Context) (Measured, error)
	Spec() Spec
}

// Spec is what is known of the declaration in force.
type Spec struct {
	Valid    bool // the newest declaration read is without mistakes
	Revision uint64
	Reloaded time.Time // when the revision came into force
}

// Collector turns a snapshot into metrics at scrape time; it keeps nothing between
// scrapes.
type Collector struct {
	source  Source
	version string
}

// NewCollector reads from source.
func NewCollector(source Source, version string) *Collector {
	return &Collector{source: source, version: version}
}

// Handler serves the metrics of source and of r, at most two scrapes at once. The
// server that it is part of bounds the writing.
func Handler(source Source, r *Recorder, version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(source, version))
	registry.MustRegister(r.collectors()...)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("svcctl_"+name, help, labels, nil)
}

var (
	serviceUp     = desc("service_up", "1 where everything in the service that is neither optional nor disabled is up.", "namespace", "service")
	serviceState  = desc("service_state", "State of the service: 1 for the one it is in.", "namespace", "service", "state")
	serviceFrozen = desc("service_frozen", "1 where an operator stopped every automatic action on the service.", "namespace", "service")
	instanceState = desc("instance_state", "State of the service's instance on a node: 1 for the one it is in.", "namespace", "service", "node", "state")
	resourceState = desc("resource_state", "Always 1; the label says in which state the resource is.", "namespace", "service", "resource", "kind", "state")
	restarts      = desc("resource_restarts_total", "Starts after a failure, since the agent knows the resource.", "namespace", "service", "resource", "kind")
	checkUp       = desc("check_up", "1 while the check passes.", "namespace", "service", "resource", "check", "kind")
	specValid     = desc("spec_valid", "1 while the newest declaration read is without mistakes.")
	specRevision  = desc("spec_revision", "Number of the revision in force.")
	specReload    = desc("spec_reload_timestamp_seconds", "When the revision in force was put there.")
	quorate       = desc("cluster_quorate", "1 while the cluster has a majority.")
	leader        = desc("cluster_leader", "1 on the node that leads the cluster.", "node")
	nodeState     = desc("node_state", "Always 1; the label says in which state the node is.", "node", "state")
	buildInfo     = desc("build_info", "Always 1; the labels say what runs.", "version", "goversion")
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		serviceUp, serviceState, serviceFrozen, instanceState, resourceState, restarts, checkUp,
		specValid, specRevision, specReload, quorate, leader, nodeState, buildInfo,
		taskState, taskLastResult, taskLastSuccess, taskLastRun, taskDuration, taskNextRun, checkValue, checkCounter,
	} {
		out <- d
	}
}

// collectWithin bounds the wait for the agent's loop.
const collectWithin = 5 * time.Second

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	snap, err := c.source.Snapshot(ctx)
	var measured Measured
	if err == nil {
		measured, err = c.source.Measured(ctx)
	}
	if err != nil {
		out <- prometheus.NewInvalidMetric(serviceUp, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	declared := c.source.Spec()
	gauge(buildInfo, 1, c.version, runtime.Version())
	gauge(specValid, truth(declared.Valid))
	gauge(specRevision, float64(declared.Revision))
	if !declared.Reloaded.IsZero() {
		gauge(specReload, float64(declared.Reloaded.UnixMilli())/1000)
	}
	// A cluster of one agrees with itself.
	gauge(quorate, 1)
	gauge(leader, 1, snap.Node)
	gauge(nodeState, 1, snap.Node, "alive")
	for _, v := range snap.Services {
		collectService(out, gauge, snap.Node, v, measured)
	}
}

func collectService(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string), node string, v *engine.ServiceView, measured Measured) {
	gauge(serviceUp, truth(v.Available), v.Namespace, v.Name)
	gauge(serviceFrozen, truth(v.Frozen != nil), v.Namespace, v.Name)
	for _, state := range engine.InstanceStates {
		gauge(serviceState, truth(v.State == state), v.Namespace, v.Name, string(state))
		gauge(instanceState, truth(v.State == state), v.Namespace, v.Name, node, string(state))
	}
	for i := range v.Resources {
		r := &v.Resources[i]
		name := r.Address.Local()
		gauge(resourceState, 1, v.Namespace, v.Name, name, r.Kind, string(r.State))
		out <- prometheus.MustNewConstMetric(restarts, prometheus.CounterValue, float64(r.Restarts), v.Namespace, v.Name, name, r.Kind)
		for _, check := range r.Checks {
			gauge(checkUp, truth(check.State == engine.CheckUp), v.Namespace, v.Name, name, check.Name, check.Kind)
			if check.State != engine.CheckUnknown { // else it does not run: what it measured is not so any more
				collectValues(out, v, r, check.Name, measured[r.Address][check.Name])
			}
		}
	}
	for i := range v.Tasks {
		collectTask(gauge, v, &v.Tasks[i])
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package agent

import (
	"context"
	"math"
	"strings"
	"sync/atomic"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

const (
	maxMeasured      = 64  // values of one check: each is a time series for whoever reads along
	maxMeasuredLabel = 128 // bytes
)

// openCheck is a check's prober, which is kept between its runs, and what its last
// run measured.
type openCheck struct {
	digest   spec.Digest
	prober   drivers.Prober
	measured atomic.Pointer[[]drivers.Perf]
	lacks    atomic.Pointer[string] // why a secret that the last run asked for could not be had
}

// measure takes over what the last Status of a check found. What it says comes from
// programs and servers: names are made fit for every reader, and there is one of each.
func (a *Agent) measure(c *openCheck, failed error) {
	m, ok := c.prober.(drivers.Measurer)
	if !ok {
		return
	}
	if failed != nil { // it measured nothing
		c.measured.Store(nil)
		return
	}
	var kept []drivers.Perf
	seen := make(map[string]bool)
	for _, p := range m.Measured() {
		p.Label, p.Unit = a.fitLabel(p.Label), a.fitLabel(p.Unit)
		if len(kept) == maxMeasured {
			break
		}
		if p.Label == "" || seen[p.Label] || math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		seen[p.Label] = true
		kept = append(kept, p)
	}
	c.measured.Store(&kept)
}

func (a *Agent) fitLabel(text string) string {
	text = a.scrub(strings.ToValidUTF8(text, "?"))
	if len(text) > maxMeasuredLabel {
		text = strings.ToValidUTF8(text[:maxMeasuredLabel], "")
	}
	return text
}

// Measured returns what the checks of this node measured last, by resource and check.
// A check that no longer runs may still be among them: the snapshot knows which do.
func (a *Agent) Measured(ctx context.Context) (map[spec.Address]map[string][]drivers.Perf, error) {
	out := make(map[spec.Address]map[string][]drivers.Perf)
	err := a.ask(ctx, func(l *loop) {
		for address, h := range l.handles {
			for name, c := range h.checks {
				values := c.measured.Load()
				if values == nil || len(*values) == 0 {
					continue
				}
				if out[address] == nil {
					out[address] = make(map[string][]drivers.Perf)
				}
				out[address][name] = *values
			}
		}
	})
	return out, err
}

package agent

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	restEvery = 2 * time.Second // between two looks at how busy the heap is
	restBelow = 1 << 20         // bytes allocated between two looks, below which the agent rests
	restGain  = 2 << 20         // bytes that must be had back for a collection to be worth its time
)

// rest gives memory back to the host once a burst is over. Starting or reloading many
// services leaves garbage that an idle agent would keep for minutes, since it collects
// by how much it allocates; the host's other programs need it now.
func rest(ctx context.Context) {
	look := time.NewTicker(restEvery)
	defer look.Stop()
	values := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	var before uint64
	var floor int64 // what the last collection could not give back
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(values)
		allocated := values[0].Value.Uint64()
		quiet := allocated-before < restBelow
		before = allocated
		if gain := gainOf(values); !quiet || gain-floor < restGain {
			continue
		}
		debug.FreeOSMemory()
		metrics.Read(values)
		before = values[0].Value.Uint64()
		floor = gainOf(values)
	}
}

// gainOf is what a collection might give back: dead objects, and pages without any.
func gainOf(values []metrics.Sample) int64 {
	live, objects, free := values[1].Value.Uint64(), values[2].Value.Uint64(), values[3].Value.Uint64()
	return int64(objects) - int64(live) + int64(free)
}

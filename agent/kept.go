package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// kept is a map in a file of the state directory, written behind the loop's back: a
// disk that is full, read-only or hung delays nobody.
type kept[K ~string, V any] struct {
	path  string
	field string // of the file, that holds the map
	what  string // it keeps, for messages
	loss  string // what a damaged file means
	log   hclog.Logger

	mu      sync.Mutex
	values  map[K]V
	dirty   bool
	waiters []chan struct{}
	err     error
	wake    chan struct{}
}

const keptVersion = 1

// newIntents keeps what operators want of services.
func newIntents(stateDir string, log hclog.Logger) *kept[string, engine.Intent] {
	return newKept[string, engine.Intent](filepath.Join(stateDir, "intents.json"), "intents",
		"what operators want of the services", "stops and freezes are forgotten", log)
}

// newTaskMemory keeps what must be known of tasks over a restart.
func newTaskMemory(stateDir string, log hclog.Logger) *kept[spec.Address, engine.TaskMemory] {
	return newKept[spec.Address, engine.TaskMemory](filepath.Join(stateDir, "tasks.json"), "tasks",
		"when tasks ran last", "runs that were missed are not caught up", log)
}

func newKept[K ~string, V any](path, field, what, loss string, log hclog.Logger) *kept[K, V] {
	return &kept[K, V]{path: path, field: field, what: what, loss: loss, log: log, values: make(map[K]V), wake: make(chan struct{}, 1)}
}

// load reads what was kept. A damaged file is put aside, not overwritten.
func (k *kept[K, V]) load() map[K]V {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var values map[K]V
	if err == nil {
		values, err = k.decode(b)
	}
	if err != nil {
		k.log.Error("cannot read "+k.what+": "+k.loss, "file", k.path, "error", err)
		if rename := os.Rename(k.path, k.path+".damaged"); rename != nil {
			k.log.Error("cannot put the damaged file aside", "error", rename)
		}
		return nil
	}
	if values != nil {
		k.values = values
	}
	return maps.Clone(k.values)
}

func (k *kept[K, V]) decode(b []byte) (values map[K]V, err error) {
	var file map[string]json.RawMessage
	var version int
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(file["version"], &version); err != nil {
		return nil, fmt.Errorf("it has no version: %w", err)
	}
	if version > keptVersion {
		return nil, fmt.Errorf("it is of version %d, written by a newer svcctl", version)
	}
	if file[k.field] == nil {
		return nil, nil
	}
	return values, json.Unmarshal(file[k.field], &values)
}

// set notes a value, or forgets it where it is nil.
func (k *kept[K, V]) set(key K, v *V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v == nil {
		if _, had := k.values[key]; !had {
			return
		}
		delete(k.values, key)
	} else {
		k.values[key] = *v
	}
	k.dirty = true
	k.rouse()
}

func (k *kept[K, V]) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// written returns a channel that is closed once all that was set by now was written,
// or could not be.
func (k *kept[K, V]) written() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := make(chan struct{})
	if !k.dirty {
		close(c)
		return c
	}
	k.waiters = append(k.waiters, c)
	k.rouse()
	return c
}

// fault says why the last write failed; "" when it did not.
func (k *kept[K, V]) fault() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		return ""
	}
	return k.err.Error()
}

func (k *kept[K, V]) run(ctx context.Context) {
	retry := time.NewTicker(mendEvery)
	defer retry.Stop()
	for {
		select {
		case <-k.wake:
		case <-retry.C:
			k.missing()
		case <-ctx.Done():
			k.save()
			return
		}
		k.save()
	}
}

// missing has the file written again where its directory came back without it.
func (k *kept[K, V]) missing() {
	if _, err := os.Stat(k.path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	k.mu.Lock()
	k.dirty = k.dirty || len(k.values) > 0
	k.mu.Unlock()
}

func (k *kept[K, V]) save() {
	k.mu.Lock()
	if !k.dirty {
		k.mu.Unlock()
		return
	}
	k.dirty = false
	b, err := json.MarshalIndent(map[string]any{"version": keptVersion, k.field: k.values}, "", " ")
	waiters := k.waiters
	k.waiters = nil
	k.mu.Unlock()
	if err == nil {
		err = writeDurably(k.path, b)
	}
	k.mu.Lock()
	if err != nil {
		err = fmt.Errorf("cannot keep %s: %w", k.what, err)
		k.dirty = true
	}
	if err != nil && k.err == nil {
		k.log.Warn("a restart of the agent now would not know it", "error", err)
	}
	k.err = err
	k.mu.Unlock()
	for _, c := range waiters {
		close(c)
	}
}

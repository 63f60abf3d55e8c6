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
)

// intentKeeper writes what operators want of services to the state directory, behind
// the loop's back: a disk that is full, read-only or hung delays nobody.
type intentKeeper struct {
	path string
	log  hclog.Logger

	mu      sync.Mutex
	intents map[string]engine.Intent
	dirty   bool
	waiters []chan struct{}
	err     error
	wake    chan struct{}
}

type intentFile struct {
	Version int                      `json:"version"`
	Intents map[string]engine.Intent `json:"intents"`
}

const intentVersion = 1

func newIntentKeeper(stateDir string, log hclog.Logger) *intentKeeper {
	return &intentKeeper{path: filepath.Join(stateDir, "intents.json"), log: log, intents: make(map[string]engine.Intent), wake: make(chan struct{}, 1)}
}

// load reads what was kept. A damaged file is put aside, not overwritten.
func (k *intentKeeper) load() map[string]engine.Intent {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var file intentFile
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err == nil && file.Version > intentVersion {
		err = fmt.Errorf("it is of version %d, written by a newer svcctl", file.Version)
	}
	if err != nil {
		k.log.Error("cannot read what operators want of the services: stops and freezes are forgotten", "file", k.path, "error", err)
		if rename := os.Rename(k.path, k.path+".damaged"); rename != nil {
			k.log.Error("cannot put the damaged file aside", "error", rename)
		}
		return nil
	}
	k.intents = file.Intents
	if k.intents == nil {
		k.intents = make(map[string]engine.Intent)
	}
	return maps.Clone(k.intents)
}

// set notes an intent, or forgets it where it is nil.
func (k *intentKeeper) set(service string, i *engine.Intent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i == nil {
		if _, had := k.intents[service]; !had {
			return
		}
		delete(k.intents, service)
	} else {
		k.intents[service] = *i
	}
	k.dirty = true
	k.rouse()
}

func (k *intentKeeper) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// written returns a channel that is closed once all that was set by now was written,
// or could not be.
func (k *intentKeeper) written() <-chan struct{} {
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
func (k *intentKeeper) fault() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		return ""
	}
	return k.err.Error()
}

func (k *intentKeeper) run(ctx context.Context) {
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
func (k *intentKeeper) missing() {
	if _, err := os.Stat(k.path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	k.mu.Lock()
	k.dirty = k.dirty || len(k.intents) > 0
	k.mu.Unlock()
}

func (k *intentKeeper) save() {
	k.mu.Lock()
	if !k.dirty {
		k.mu.Unlock()
		return
	}
	k.dirty = false
	b, err := json.MarshalIndent(intentFile{Version: intentVersion, Intents: k.intents}, "", " ")
	waiters := k.waiters
	k.waiters = nil
	k.mu.Unlock()
	if err == nil {
		err = writeDurably(k.path, b)
	}
	k.mu.Lock()
	if err != nil {
		err = fmt.Errorf("cannot keep what operators want of the services: %w", err)
		k.dirty = true
	}
	if err != nil && k.err == nil {
		k.log.Warn("stops and freezes would be lost by a restart of the agent", "error", err)
	}
	k.err = err
	k.mu.Unlock()
	for _, c := range waiters {
		close(c)
	}
}

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// intentsVersion is of the file's form; a newer one is refused, never guessed at.
const intentsVersion = 1

// intent is what the operator wants of one service, beyond its declaration.
type intent struct {
	State     string            `json:"state,omitempty"`     // started, stopped, or "" for what is declared
	Overrides map[string]string `json:"overrides,omitempty"` // resource address → up or down
	Frozen    *freeze           `json:"frozen,omitempty"`    // nil: not frozen
}

// freeze keeps svcctl from acting on a service by itself.
type freeze struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until thawed
}

// isZero says whether an intent wants nothing beyond the declaration.
func (i intent) isZero() bool { return i.State == "" && len(i.Overrides) == 0 && i.Frozen == nil }

// intents keeps what operators asked for over restarts of the agent. What can't be
// written stays in memory, and holds, until Flush can write it. Not safe for
// concurrent use.
type intents struct {
	path     string
	services map[string]intent
	unread   bool // the file is there, but could not be read: it must not be written over
	unsaved  bool
	fault    error
}

type intentsFile struct {
	Version  int               `json:"version"`
	Services map[string]intent `json:"services"`
}

// openIntents reads <state>/intents.json. It always returns intents that work; the
// error says why what operators asked for earlier is not known. A damaged file is
// kept beside the new one, as intents.json.damaged.
func openIntents(stateDir string) (*intents, error) {
	in := &intents{path: filepath.Join(stateDir, "intents.json"), services: map[string]intent{}}
	raw, err := os.ReadFile(in.path)
	if errors.Is(err, fs.ErrNotExist) {
		return in, nil
	}
	if err != nil {
		in.unread = true
		in.fault = fmt.Errorf("cannot read what operators asked for: %w (services follow their declarations)", err)
		return in, in.fault
	}
	var file intentsFile
	err = json.Unmarshal(raw, &file)
	if err == nil && file.Version != intentsVersion {
		err = fmt.Errorf("its version is %d, and this program knows %d", file.Version, intentsVersion)
	}
	if err == nil {
		err = checkIntents(file.Services)
	}
	if err != nil {
		kept := in.path + ".damaged"
		err = fmt.Errorf("cannot use %s: %w (kept as %s; services follow their declarations, freeze and stop again what should rest)", in.path, err, kept)
		return in, errors.Join(err, os.Rename(in.path, kept))
	}
	for name, i := range file.Services {
		in.services[name] = i
	}
	return in, nil
}

func checkIntents(services map[string]intent) error {
	for name, i := range services {
		if i.State != "" && i.State != "started" && i.State != "stopped" {
			return fmt.Errorf("service %s has state %q", name, i.State)
		}
		for address, o := range i.Overrides {
			if o != "up" && o != "down" {
				return fmt.Errorf("%s of service %s has override %q", address, name, o)
			}
		}
	}
	return nil
}

// Get returns what is wanted of a service; it must not be changed.
func (in *intents) Get(service string) intent { return in.services[service] }

// All returns every intent by service; it must not be changed.
func (in *intents) All() map[string]intent { return in.services }

// Set notes what is wanted of a service and writes it. It holds also where the
// error says that it could not be written.
func (in *intents) Set(service string, i intent) error {
	if err := checkIntents(map[string]intent{service: i}); err != nil {
		panic(fmt.Sprintf("internal error: %v", err))
	}
	if i.isZero() {
		if _, ok := in.services[service]; !ok {
			return in.fault
		}
		delete(in.services, service)
	} else {
		in.services[service] = i
	}
	in.unsaved = true
	return in.Flush()
}

// Fault says why the disk lacks something, or is nil.
func (in *intents) Fault() error { return in.fault }

// Flush writes what the disk lacks; it costs nothing where it lacks nothing.
func (in *intents) Flush() error {
	if !in.unsaved {
		return in.fault
	}
	in.fault = in.write()
	in.unsaved = in.fault != nil
	return in.fault
}

func (in *intents) write() error {
	if in.unread {
		disk, err := openIntents(filepath.Dir(in.path))
		if disk.unread {
			return err
		}
		for name, i := range disk.services {
			if _, newer := in.services[name]; !newer {
				in.services[name] = i
			}
		}
		in.unread = false
	}
	raw, err := json.MarshalIndent(intentsFile{Version: intentsVersion, Services: in.services}, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(in.path), 0o700)
	}
	if err == nil {
		err = writeDurably(in.path, append(raw, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot note what operators asked for in %s: %w (it holds until the agent ends; is the disk full, read-only or gone?)", in.path, err)
	}
	return nil
}

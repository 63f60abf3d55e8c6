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

// aside is a revision that the state directory could not take. It waits in the run
// directory, so that an agent that restarts meanwhile knows what its services were
// started from. A reboot loses it, and the services with it.
type aside struct {
	Number    int               `json:"number"`
	Time      time.Time         `json:"time"`
	Author    string            `json:"author"`
	Directory string            `json:"directory,omitempty"` // whose base it is
	Files     map[string][]byte `json:"files"`
}

func (s *sets) asidePath() string {
	return filepath.Join(s.a.o.Config.State.Run, "revision.json")
}

// keepAside keeps a revision that could not be written, and drops an older one once
// all is where it belongs.
func (s *sets) keepAside(rev Revision, dir string, set *fileSet, fault error) {
	if fault == nil {
		s.dropAside()
		return
	}
	b, err := json.Marshal(aside{Number: rev.Number, Time: rev.Time, Author: rev.Author, Directory: dir, Files: set.Files()})
	if err == nil {
		err = os.WriteFile(s.asidePath()+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(s.asidePath()+".new", s.asidePath())
	}
	if err != nil {
		s.storeResult(fmt.Errorf("cannot keep it in the run directory either: %w", err))
	}
}

func (s *sets) dropAside() {
	if err := os.Remove(s.asidePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.storeResult(err)
	}
}

// recover puts a revision back into the store that an agent before this one could
// not write.
func (s *sets) recover() {
	b, err := os.ReadFile(s.asidePath())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var kept aside
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	if err != nil {
		s.a.log.Error("cannot read the revision that the state directory could not take", "error", err)
		return
	}
	if c := s.store.Current(); c != nil && c.Number >= kept.Number {
		s.dropAside()
		return
	}
	rev, err := s.store.Put(kept.Files, kept.Author, kept.Time)
	if kept.Directory != "" {
		err = errors.Join(err, s.store.SetBase(kept.Directory, rev.Number))
	}
	s.storeResult(err)
	if err == nil {
		s.dropAside()
	}
}

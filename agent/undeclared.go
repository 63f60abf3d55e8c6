package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/svcctl/svcctl/spec"
)

// A service that left the files goes on, also over a restart of the agent. Its last
// declaration is kept as the whole set that it was part of, apart from the revisions,
// which are forgotten after a while.
type undeclaredFile struct {
	Services map[string]int            `json:"services"` // → number of the last revision that declared it
	Sets     map[int]map[string][]byte `json:"sets"`     // by that number

	Fingerprints map[int]map[string]string `json:"fingerprints,omitempty"` // of secrets, as they were for these sets
}

func (s *sets) undeclaredPath() string {
	return filepath.Join(s.a.o.Config.State.Dir, "undeclared.json")
}

// keepUndeclared writes down which services go on undeclared; before is the number
// of the revision that declared the ones that are new among them.
func (s *sets) keepUndeclared(names []string, before int) {
	now := make(map[string]int, len(names))
	for _, name := range names {
		if number, known := s.undeclared[name]; known {
			now[name] = number
		} else {
			now[name] = before
		}
	}
	if maps.Equal(now, s.undeclared) {
		return
	}
	old := s.readUndeclared()
	s.undeclared = now
	if len(now) == 0 {
		if err := os.Remove(s.undeclaredPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.storeResult(err)
		}
		return
	}
	file := undeclaredFile{Services: now, Sets: map[int]map[string][]byte{}, Fingerprints: map[int]map[string]string{}}
	for _, number := range now {
		if set, known := old.Sets[number]; known {
			file.Sets[number], file.Fingerprints[number] = set, old.Fingerprints[number]
		} else if set, err := s.revisionFiles(number); err == nil {
			file.Sets[number], file.Fingerprints[number] = set, s.a.secrets.inForce()
		} else {
			s.storeResult(err)
		}
	}
	b, err := json.Marshal(file)
	if err == nil {
		err = writeDurably(s.undeclaredPath(), b)
	}
	if err != nil {
		s.storeResult(fmt.Errorf("cannot write down which services are undeclared: %w", err))
	}
}

func (s *sets) revisionFiles(number int) (map[string][]byte, error) {
	rev, err := s.store.Get(number)
	if err != nil {
		return nil, err
	}
	set, err := s.store.FS(number)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(rev.Files))
	for name := range rev.Files {
		if files[name], err = fs.ReadFile(set, name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (s *sets) readUndeclared() (file undeclaredFile) {
	b, err := os.ReadFile(s.undeclaredPath())
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.a.log.Error("cannot read which services are undeclared: they are not known any more", "error", err)
	}
	return file
}

// loadUndeclared returns the last declarations of the services that went on
// undeclared before the agent ended.
func (s *sets) loadUndeclared() (map[string]*spec.Service, map[string]int) {
	file := s.readUndeclared()
	found := make(map[string]*spec.Service)
	for number, files := range file.Sets {
		sp, findings := s.loaderFor(asTheyWere{s.a.secrets, file.Fingerprints[number]}).LoadAccepted(contentFiles(files))
		if sp == nil {
			s.a.log.Error("the last declaration of undeclared services is not valid for this version of svcctl", "revision", number, "finding", firstError(findings))
			continue
		}
		for name, n := range file.Services {
			if sv := sp.Services[name]; n == number && sv != nil {
				found[name] = sv
			}
		}
	}
	numbers := make(map[string]int, len(found))
	for name := range found {
		numbers[name] = file.Services[name]
	}
	return found, numbers
}

func sortedNames(services map[string]*spec.Service) []string {
	return slices.Sorted(maps.Keys(services))
}

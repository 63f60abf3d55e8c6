package agent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/spec"
)

// secrets reads the secrets of this node. It keeps no value but for scrubbing text:
// each use reads the file anew, and the loader gets a keyed hash. Safe for concurrent
// use.
type secrets struct {
	folders  []string // in which they are looked for, the first wins
	stateDir string
	runDir   string // for the key, while the state directory does not take it
	log      hclog.Logger
	scrubber *Scrubber

	mu     sync.Mutex
	key    []byte
	opened bool
	prints map[string]string // name → the fingerprint in force, also of one that can't be read now
	asked  map[string]bool   // names that the loader asked for
	faults map[string]string // name → why it can't be read; logged once
	dirty  bool
	unkept string            // why the last save failed
	last   map[string]string // name → value, for what runs while the file can't be read
	inUse  chan struct{}     // closed once a secret was asked for
}

// secretsFile is what a restarted agent needs, to see that nothing has changed.
type secretsFile struct {
	Version      int               `json:"version"`
	Key          []byte            `json:"key"` // of the hash
	Fingerprints map[string]string `json:"fingerprints"`
}

const (
	secretsVersion = 1
	keySize        = 32
	printSize      = 16     // bytes of the hash that are kept
	maxPrints      = 10_000 // names
)

func newSecrets(c Config, log hclog.Logger, scrubber *Scrubber) *secrets {
	s := &secrets{stateDir: c.State.Dir, runDir: c.State.Run, log: log, scrubber: scrubber,
		prints: map[string]string{}, asked: map[string]bool{}, faults: map[string]string{}, last: map[string]string{},
		inUse: make(chan struct{})}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); filepath.IsAbs(dir) {
		s.folders = append(s.folders, dir)
	}
	s.folders = append(s.folders, c.Secrets.Dir)
	return s
}

// value reads a secret now. Its error says how to mend it.
func (s *secrets) value(name string) (string, error) {
	var missing error
	for _, folder := range s.folders {
		b, err := readSecret(folder, name)
		if err == nil {
			s.scrubber.Learn(name, string(b))
			return string(b), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot use the secret %q: %w", name, err)
		}
		missing = err
	}
	own := filepath.Join(s.folders[len(s.folders)-1], name)
	if missing == nil {
		panic("internal error: there is no folder for secrets")
	}
	return "", fmt.Errorf("cannot use the secret %q: %w: %s does not exist (write its value into it, as root, and chmod 0600 it)", name, errNoSecret, own)
}

var errNoSecret = errors.New("it is missing")

// Fingerprint implements spec.Fingerprints. It stays what it is until renew finds
// another value, so that all of a set goes by the same one; and a secret that can't be
// read keeps it, so that nothing which runs is touched. "" where it was never read.
func (s *secrets) Fingerprint(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open()
	if s.asked[name] && s.prints[name] != "" {
		return s.prints[name]
	}
	if len(s.asked) == 0 {
		close(s.inUse)
	}
	if len(s.asked) < maxPrints { // also of sets that are only tried
		s.asked[name] = true
	}
	value, err := s.read(name)
	if err == nil && s.prints[name] == "" {
		s.prints[name], s.dirty = s.hash(name, value), true
	}
	return s.prints[name]
}

// inForce returns the fingerprints that sets go by now.
func (s *secrets) inForce() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.prints)
}

// asTheyWere are fingerprints for a set that was left behind, and goes on as it was.
type asTheyWere struct {
	now  *secrets
	then map[string]string
}

// Fingerprint implements spec.Fingerprints.
func (a asTheyWere) Fingerprint(name string) string {
	now := a.now.Fingerprint(name) // asked all the same, so that the value is known to the scrubber
	if then := a.then[name]; then != "" {
		return then
	}
	return now
}

// read is value, and takes note of what came of it. The caller holds mu.
func (s *secrets) read(name string) (string, error) {
	value, err := s.value(name)
	s.report(name, err)
	if err == nil {
		s.last[name] = value
	}
	return value, err
}

// hash is worth nothing to whom has not the key. The caller holds mu.
func (s *secrets) hash(name, value string) string {
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "%d:%s:%s", len(name), name, value)
	return hex.EncodeToString(h.Sum(nil)[:printSize])
}

// report logs once why a secret can't be read, and once that it can again.
func (s *secrets) report(name string, err error) {
	was := s.faults[name]
	switch {
	case err == nil && was != "":
		delete(s.faults, name)
		s.log.Info("a secret can be read again", "secret", name)
	case err != nil && err.Error() != was:
		s.faults[name] = err.Error()
		s.log.Warn("what runs goes on, but nothing that needs this secret can be started", "error", err)
	}
}

// renew looks at the secrets in use and returns the names of those that have another
// value than the one in force, which it is from now on.
func (s *secrets) renew() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.asked {
		value, err := s.read(name)
		if err != nil {
			continue
		}
		if now := s.hash(name, value); now != s.prints[name] {
			s.prints[name], s.dirty = now, true
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reveal puts values into text, for a start.
func (s *secrets) reveal(text string) (string, error) { return spec.Reveal(text, s.valueNow) }

// valueNow is value, and the one that what runs goes by from now on.
func (s *secrets) valueNow(name string) (string, error) {
	value, err := s.value(name)
	if err == nil {
		s.mu.Lock()
		s.last[name] = value
		s.mu.Unlock()
	}
	return value, err
}

// revealKnown goes by the value read last where the file can't be read now, for all
// that is no start: a secret that is away is no fault of what runs.
func (s *secrets) revealKnown(text string) (string, error) {
	return spec.Reveal(text, func(name string) (string, error) {
		value, err := s.valueNow(name)
		if err == nil {
			return value, nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if known, had := s.last[name]; had {
			return known, nil
		}
		return "", err
	})
}

func (s *secrets) path() string { return filepath.Join(s.stateDir, "secrets.json") }

// aside is where the key waits for a state directory that does not take it.
func (s *secrets) aside() string { return filepath.Join(s.runDir, "secrets.json") }

// open reads the key and what is known, or makes a key. The caller holds mu.
func (s *secrets) open() {
	if s.opened {
		return
	}
	s.opened = true
	for _, path := range []string{s.path(), s.aside()} {
		file, err := readSecretsFile(path)
		if err == nil {
			s.key = file.Key
			maps.Copy(s.prints, file.Fingerprints)
			s.dirty = path == s.aside()
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Error("cannot read what is known of secrets: what uses one is restarted", "file", path, "error", err)
			if rename := os.Rename(path, path+".damaged"); rename != nil {
				s.log.Error("cannot put the damaged file aside", "error", rename)
			}
		}
	}
	s.key = make([]byte, keySize)
	if _, err := rand.Read(s.key); err != nil {
		panic("internal error: the kernel gives no random numbers: " + err.Error())
	}
	s.dirty = true
}

func readSecretsFile(path string) (file secretsFile, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return file, err
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return file, err
	}
	switch {
	case file.Version > secretsVersion:
		return file, fmt.Errorf("it is of version %d, written by a newer svcctl", file.Version)
	case len(file.Key) != keySize:
		return file, errors.New("it holds no key")
	}
	return file, nil
}

// keep is save, and logs once what is in its way.
func (s *secrets) keep() {
	err := s.save()
	now := ""
	if err != nil {
		now = err.Error()
	}
	s.mu.Lock()
	was := s.unkept
	s.unkept = now
	s.mu.Unlock()
	if err != nil && now != was {
		s.log.Warn("what runs goes on", "error", err)
	}
}

// fault says why what is known is not on disk; "" when it is.
func (s *secrets) fault() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unkept
}

// save keeps what is known durably. Where the state directory does not take it, it
// waits in the run directory, which a restart of the agent leaves alone. Nobody waits
// for the disk: only the owner of the sets calls it.
func (s *secrets) save() error {
	b, err := s.pending()
	if b == nil || err != nil {
		return err
	}
	if err := writeDurably(s.path(), b); err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		if writeBeside(s.aside(), b, false) == nil {
			return nil
		}
		return fmt.Errorf("cannot keep what is known of secrets, so that a restart of the agent would restart what uses them: %w", err)
	}
	if err := os.Remove(s.aside()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s, which is not needed any more: %w", s.aside(), err)
	}
	return nil
}

// pending returns what is to be written; nil: nothing.
func (s *secrets) pending() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return nil, nil
	}
	for name := range s.prints { // bounded by what the sets in force name
		if len(s.prints) > maxPrints && !s.asked[name] {
			delete(s.prints, name)
		}
	}
	s.dirty = false
	return json.Marshal(secretsFile{Version: secretsVersion, Key: s.key, Fingerprints: s.prints})
}

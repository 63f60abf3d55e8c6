package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFiles bounds the credentials of one process, names and contents together.
const maxFiles = 1 << 20

// credentialsDir is where each process sees its own credentials, and no other's.
func (s *server) credentialsDir() string { return filepath.Join(s.dir, "credentials") }

// nothing is a file that stands in the place of hidden ones.
func (s *server) nothing() string { return filepath.Join(s.dir, "nothing") }

// makeRoom prepares the host for a process with mounts of its own.
func (s *server) makeRoom(r *Request) error {
	size := 0
	for name, text := range r.Files {
		size += len(name) + len(text)
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 255 {
			return fmt.Errorf("cannot start %s: a credential can't be called %q", r.ID, name)
		}
	}
	if size > maxFiles {
		return fmt.Errorf("cannot start %s: its credentials have %d bytes, more than %d", r.ID, size, maxFiles)
	}
	if len(r.Files) == 0 && (r.Confine == nil || len(r.Confine.Places) == 0) {
		return nil
	}
	if err := os.Mkdir(s.credentialsDir(), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot start %s: %w", r.ID, err)
	}
	f, err := os.OpenFile(s.nothing(), os.O_CREATE|os.O_RDONLY, 0)
	if err != nil && !errors.Is(err, os.ErrPermission) { // it has no permission, also for us where we are not root
		return fmt.Errorf("cannot start %s: %w", r.ID, err)
	}
	f.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared {
		return nil
	}
	if err := shareMounts(); err != nil {
		return fmt.Errorf("cannot start %s: %w", r.ID, err)
	}
	s.shared = true
	return nil
}

// trusts says whether the sockets in our folder, the agent's among them, would take orders
// from a process: they go by the user, and of root without a capability think it is root.
func (s *server) trusts(who *Credential, c *Confinement) bool {
	if !c.NoNewPrivileges && len(c.Filter) == 0 {
		return true // by a program such as su
	}
	return who == nil || who.UID == 0 || who.UID == s.uid
}

// shareMounts has other mount namespaces follow what the host mounts and unmounts, as
// systemd does at boot. Without it a confined process would hold on to a file system that
// was unmounted here, so that its device would stay in use, unseen.
func shareMounts() error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	shared := false
	for _, m := range mounts {
		if m.path == "/" {
			shared = m.shared // the last one lies over the others
		}
	}
	if shared {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("cannot share the mounts of the host: %w (a sandbox and credentials need an agent that runs as root)", err)
	}
	fmt.Fprintln(os.Stderr, "the mounts of this host were private and are shared from now on (mount --make-rshared /), so that sandboxes follow what it mounts and unmounts")
	return nil
}

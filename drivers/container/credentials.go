package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// credentialsSize bounds the file system of one container's credentials.
const credentialsSize = "1m"

// credentialsDir is private to root: its files can be read by every user inside the
// container, who are not known here, and by nobody else outside.
func (d *driver) credentialsDir() string {
	name := strings.NewReplacer("/", "_", "\x00", "_").Replace(string(d.opening.Address))
	return filepath.Join(d.opening.RunDir, "container", name)
}

// writeCredentials mounts a file system in memory and puts the credentials into it;
// the path of the folder to show, "" where there are none.
func (d *driver) writeCredentials(c *Config) (string, error) {
	if len(c.Credentials) == 0 {
		return "", nil
	}
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("cannot give container %s its credentials: %w", nameOf(d.opening, c), err)
	}
	outer := d.credentialsDir()
	if err := os.MkdirAll(outer, 0o700); err != nil {
		return fail(err)
	}
	inner := filepath.Join(outer, c.digest()) // other secrets, another folder
	if mounted(outer) {
		if _, err := os.Stat(inner); err == nil {
			return inner, nil
		}
	} else if err := unix.Mount("svcctl", outer, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700,size="+credentialsSize); err != nil {
		return fail(fmt.Errorf("cannot mount memory on %s: %w (is the agent root?)", outer, err))
	}
	draft := inner + "~" // whole or not at all
	if err := os.RemoveAll(draft); err != nil {
		return fail(err)
	}
	if err := os.Mkdir(draft, 0o755); err != nil {
		return fail(err)
	}
	for name, content := range c.Credentials {
		text, err := reveal(d.opening, content)
		if err != nil {
			return fail(err)
		}
		if err := os.WriteFile(filepath.Join(draft, name), []byte(text), 0o444); err != nil {
			return fail(err)
		}
	}
	if err := os.Rename(draft, inner); err != nil {
		return fail(err)
	}
	return inner, nil
}

// dropCredentials takes them away again. What a container still shows goes with it.
func (d *driver) dropCredentials() {
	outer := d.credentialsDir()
	if mounted(outer) {
		_ = unix.Unmount(outer, unix.MNT_DETACH) // it is memory, and nobody else's
	}
	_ = os.Remove(outer) // empty, or not there
}

func mounted(path string) bool {
	var own, parent unix.Stat_t
	return unix.Stat(path, &own) == nil && unix.Stat(filepath.Dir(path), &parent) == nil && own.Dev != parent.Dev
}

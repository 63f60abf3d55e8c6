// Package lab boots real hosts on one machine: each with a root file system, network, processes and an init of its own.
package lab

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Suite is the release of Debian that images are made of.
const Suite = "bookworm"

// Debian returns the root file system of a minimal Debian with packages beside
// systemd as its init. It is made once, by debootstrap, and kept under
// $XDG_CACHE_HOME/svcctl-test (/var/cache/svcctl-test without it): nobody writes to it.
func Debian(packages ...string) (root string, err error) {
	packages = append([]string{"systemd-sysv", "dbus", "procps", "iproute2"}, packages...)
	slices.Sort(packages)
	packages = slices.Compact(packages)
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = "/var/cache"
	}
	cache = filepath.Join(cache, "svcctl-test")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot keep an image: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("cannot keep an image: %w", err)
	}
	defer func() { _ = lock.Close() }()                              // ends the lock
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // another test may be making it
		return "", fmt.Errorf("cannot lock %s: %w", cache, err)
	}
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	root = filepath.Join(cache, fmt.Sprintf("%s-%x", Suite, sum[:6]))
	if _, err := os.Stat(root); err == nil {
		return root, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	made := root + ".new"
	if err := os.RemoveAll(made); err != nil {
		return "", fmt.Errorf("cannot remove a half made image: %w", err)
	}
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), Suite, made).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot make a Debian with debootstrap: %w\n%s", err, tail(string(out), 15))
	}
	_ = os.RemoveAll(filepath.Join(made, "var/cache/apt/archives")) // only space
	return root, os.Rename(made, root)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

package keeper

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// newNotifier opens a socket for the messages of one process. Its address is
// abstract: a process of any user reaches it, whatever the rights of our folder, and
// nothing needs to be removed. The sender's user is checked instead. Since an abstract
// address ends at the network namespace, a process in another one is given a path.
func newNotifier(path string, notify func(message []byte, uid uint32)) (*notifier, string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("cannot make a notification socket: %w", err)
	}
	name := path
	if path == "" {
		name = "@svcctl-notify-" + rand.Text()
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	}
	if err == nil && path != "" {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("cannot make a notification socket: %w", err)
	}
	return &notifier{fd: fd, path: path, notify: notify}, name, nil
}

func (n *notifier) close() {
	unix.Close(n.fd)
	if n.path != "" {
		_ = os.Remove(n.path)
	}
}

func notifySocket(dir string, run uint64) string {
	return filepath.Join(dir, "notify-"+strconv.FormatUint(run, 10))
}

// removeNotifySockets removes those of a keeper that was killed.
func removeNotifySockets(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, "notify-*"))
	for _, path := range old {
		_ = os.Remove(path)
	}
}

// receive takes one message. There is no room for descriptors, so that the kernel
// closes those of a barrier, which ends it.
func (o *outputs) receive(n *notifier, buf []byte) {
	var oob [64]byte
	o.mu.Lock()
	if o.notifiers[n.fd] != n { // closed since the event: its number may be another's
		o.mu.Unlock()
		return
	}
	size, oobn, _, _, err := unix.Recvmsg(n.fd, buf, oob[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	o.mu.Unlock()
	if err != nil {
		return
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
		if c, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			n.notify(buf[:size], c.Uid)
		}
	}
}

// maxEarly bounds the messages that are kept of a process before it is known to run.
const maxEarly = 16

// early is a message of a process that was quicker than the news of its start.
type early struct {
	text []byte
	uid  uint32
}

// notified applies a message of a process to its entry.
func (s *server) notified(e *entry, run uint64, message []byte, uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := e.birth; b != nil && b.run == run && len(b.early) < maxEarly {
		b.early = append(b.early, early{bytes.Clone(message), uid})
		return
	}
	if e.p.Run == run && s.heard(e, message, uid) {
		s.emit(e)
	}
}

// heard says whether a message changed anything. The caller holds mu.
func (s *server) heard(e *entry, message []byte, uid uint32) (changed bool) {
	if uid != 0 && uid != e.uid {
		return false
	}
	for line := range strings.Lines(string(message)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "READY":
			if value == "1" && !e.p.Ready {
				e.p.Ready, changed = true, true
			}
		case "STATUS":
			if len(value) > 200 {
				value = value[:200] + "…"
			}
			if value != e.p.Text {
				e.p.Text, changed = value, true
			}
		case "STOPPING":
			if value == "1" && e.p.Ready {
				e.p.Ready, changed = false, true
			}
		case "MAINPID":
			if pid, err := strconv.Atoi(value); err == nil && e.forking && s.adopt(e, pid) {
				changed = true
			}
		}
	}
	return changed
}

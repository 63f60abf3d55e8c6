package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// unanswered tells whether an error says nothing of containers, only that the engine
// did not answer.
func unanswered(err error) bool {
	return client.IsErrConnectionFailed(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOENT)
}

// notThere tells whether there is no such container. Podman answers so with an error of
// its own while one is being removed.
func notThere(err error) bool {
	return cerrdefs.IsNotFound(err) || err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container")
}

// leaving tells whether a container can't be started because somebody removes it.
func leaving(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "marked for removal") || strings.Contains(err.Error(), "is being removed"))
}

// nameInUse: Podman answers with an error of its own here too.
func nameInUse(err error) bool {
	return cerrdefs.IsConflict(err) || err != nil && strings.Contains(err.Error(), "is already in use by")
}

// silent is the one sentence for an engine that is down or hangs.
func (s *socket) silent(err error) error {
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%s at %s may not be used: %w (svcctl needs to be root, or in the group of the socket)", s.name, s.path, err)
	}
	return &silence{text: fmt.Sprintf("%s at %s does not answer (%s)", s.name, s.path, s.cure), cause: err}
}

// silence is shown without its cause, which is a line of a connection's internals.
type silence struct {
	text  string
	cause error
}

func (e *silence) Error() string { return e.text }
func (e *silence) Unwrap() error { return e.cause }

// explain says what to do about an error of the engine.
func (d *driver) explain(ctx context.Context, c *Config, what string, err error) error {
	name := nameOf(d.opening, c)
	if ended := ctx.Err(); errors.Is(ended, context.Canceled) {
		return fmt.Errorf("cannot %s container %s: %w", what, name, ended)
	}
	if unanswered(err) {
		return fmt.Errorf("cannot %s container %s: %w", what, name, d.socket.silent(err))
	}
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	hint := ""
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(text), w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("no space left on device", "disk quota exceeded"):
		hint = "free space where the engine keeps its data: docker system df shows what takes it"
	case has("port is already allocated", "address already in use"):
		hint = "another program or container has the port: ss -ltnp shows which; else change ports"
	case has("cannot assign requested address"):
		hint = "the address of a port is not on this host: is its ip up, and does this container come after it?"
	case has("bind source path does not exist", "statfs "):
		hint = "a path of volumes is not there: is its mount up, and does this container come after it?"
	case cerrdefs.IsNotFound(err) && has("network"):
		hint = "make the network first: docker network create"
	case has("executable file not found", "exec: \"") && what == "start":
		hint = "the program of command or entrypoint is not in the image"
	case has("no command specified"):
		hint = "neither the image nor command nor entrypoint says what to run"
	case has("unauthorized", "denied: ", "authentication required"):
		hint = "set username and password, or log the engine in"
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("cannot %s container %s: %s%s", what, name, text, hint)
}

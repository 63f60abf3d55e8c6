// Package testengine runs a private Docker or Podman engine for tests, with a socket, data and a network of its own.
package testengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Image is what Start imports: the program probe of this package, and nothing else.
const Image = "svcctl-probe:1"

// patience bounds each wait; only a hang reaches it.
const patience = 2 * time.Minute

// Options say what differs from a plain engine.
type Options struct {
	Namespace   string // of the network, by name, which must exist; default: one of its own
	LiveRestore bool   // Docker: containers outlive the daemon
}

// Engine is one engine. Not safe for concurrent use.
type Engine struct {
	Kind      string // docker or podman
	Socket    string
	Namespace string // of the network that it and its containers' ports are in
	Options   Options

	dir   string
	group string // of its containers, docker only
	made  bool   // the namespace is ours
	log   *os.File
	cmd   *exec.Cmd
	ended chan struct{}
	http  *http.Client
}

var engines atomic.Int64

// Start runs an engine, "docker" or "podman", and imports the image. It needs root.
func Start(kind string, o Options) (*Engine, error) {
	dir, err := os.MkdirTemp("", "eng")
	if err != nil {
		return nil, err
	}
	e := &Engine{Kind: kind, dir: dir, Options: o, Namespace: o.Namespace, Socket: filepath.Join(dir, "engine.sock")}
	e.group = fmt.Sprintf("svcctl-test-%s", filepath.Base(dir))
	e.http = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", e.Socket)
		}}}
	if err := e.prepare(); err != nil {
		return nil, errors.Join(err, e.End())
	}
	if err := e.Launch(); err != nil {
		return nil, errors.Join(err, e.End())
	}
	if err := e.Import(Image); err != nil {
		return nil, errors.Join(err, e.End())
	}
	return e, nil
}

func (e *Engine) prepare() (err error) {
	if e.log, err = os.Create(filepath.Join(e.dir, "log")); err != nil {
		return err
	}
	if e.Namespace == "" {
		e.Namespace = fmt.Sprintf("%s-%d", filepath.Base(e.dir), engines.Add(1))
		if err := run("ip", "netns", "add", e.Namespace); err != nil {
			return err
		}
		e.made = true
		if err := run("ip", "-n", e.Namespace, "link", "set", "lo", "up"); err != nil {
			return err
		}
	}
	// Without CAP_SYS_RESOURCE, as in a container, nobody may raise a limit: Podman would.
	conf := fmt.Sprintf("[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\ncgroups = \"enabled\"\nlog_driver = \"k8s-file\"\n"+
		"[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n[network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = %q\n",
		filepath.Join(e.dir, "net"))
	return errors.Join(os.WriteFile(filepath.Join(e.dir, "containers.conf"), []byte(conf), 0o644),
		os.WriteFile(filepath.Join(e.dir, "daemon.json"), []byte("{}"), 0o644))
}

// Launch starts the engine's process, the first time or again, and returns once it answers.
func (e *Engine) Launch() error {
	at := func(name string) string { return filepath.Join(e.dir, name) }
	words := []string{"nsenter", "--net=/run/netns/" + e.Namespace, "--"}
	switch e.Kind {
	case "docker":
		words = append(words, "dockerd", "--config-file", at("daemon.json"), "--data-root", at("data"), "--exec-root", at("exec"),
			"--pidfile", at("pid"), "--host", "unix://"+e.Socket, "--storage-driver", "overlay2", "--cgroup-parent", "/"+e.group,
			fmt.Sprintf("--live-restore=%t", e.Options.LiveRestore), "--shutdown-timeout", "3")
		_ = os.Remove(at("pid")) // of one that was killed
	case "podman":
		words = append(words, "podman", "--root", at("data"), "--runroot", at("exec"), "--tmpdir", at("tmp"), "--storage-driver", "overlay",
			"system", "service", "--time=0", "unix://"+e.Socket)
		_ = os.Remove(e.Socket)
	default:
		panic("internal error: no such engine: " + e.Kind)
	}
	c := exec.Command(words[0], words[1:]...)
	c.Stdout, c.Stderr = e.log, e.log
	c.Env = append(os.Environ(), "CONTAINERS_CONF="+at("containers.conf"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", e.Kind, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // its log says why
		close(ended)
	}()
	e.cmd, e.ended = c, ended
	return wait("the engine to answer", func() error {
		select {
		case <-ended:
			return stop{fmt.Errorf("%s ended at once; its log ends with: %s", e.Kind, e.lastWords())}
		default:
		}
		_, err := e.Do(http.MethodGet, "/_ping", nil)
		return err
	})
}

// Signal sends the engine's process a signal.
func (e *Engine) Signal(s syscall.Signal) error { return e.cmd.Process.Signal(s) }

// Halt ends the engine's process by a signal and returns once it has ended.
func (e *Engine) Halt(s syscall.Signal) error {
	if err := e.Signal(s); err != nil {
		return err
	}
	select {
	case <-e.ended:
	case <-time.After(patience):
		return fmt.Errorf("%s did not end after %s", e.Kind, s)
	}
	if s == syscall.SIGKILL { // containerd is a child of dockerd's, which thinks that a zombie lives
		defer os.Remove(filepath.Join(e.dir, "exec", "containerd", "containerd.pid"))
		return wait("containerd to end", func() error {
			for _, pid := range e.processes() {
				if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.TrimSpace(string(name)) == "containerd" {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
					return errors.New("it is there")
				}
			}
			return nil
		})
	}
	return nil
}

// Do makes one call of the API and returns what was answered.
func (e *Engine) Do(method, path string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequest(method, "http://engine"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(path, "/v1.41/images/create") {
			r.Header.Set("Content-Type", "application/x-tar")
		}
	}
	answer, err := e.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, b)
	}
	return b, err
}

func (e *Engine) lastWords() string {
	b, err := os.ReadFile(e.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// stop ends a wait with an error.
type stop struct{ error }

func wait(what string, done func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		err := done()
		var final stop
		if err == nil || errors.As(err, &final) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain for %s: %w", patience, what, err)
		}
	}
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

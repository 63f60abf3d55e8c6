package e2e

import (
	"bytes"
	"context"
	"encoding/json"
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
	"testing"
	"time"
)

// patience bounds each wait. It is generous: no test measures time.
const patience = 60 * time.Second

var worlds atomic.Int64

// node is one host's agent, as its operator has it: a folder, a socket, a command.
type node struct {
	t        *testing.T
	name     string
	dir      string // agent.hcl, services, state, run, log
	services string
	space    string // network namespace; "" for the host's own
	agent    *exec.Cmd
	ended    chan struct{} // the agent's process was reaped
	http     *http.Client
	labels   string // an argument of agent.hcl's node
	extra    string // more of agent.hcl
}

// newNode makes a node whose directory of services holds these files.
func newNode(t *testing.T, files map[string]string) *node {
	t.Helper()
	n := &node{t: t, name: fmt.Sprintf("%s-%d", filepath.Base(root), worlds.Add(1))}
	n.dir = filepath.Join(root, n.name)
	n.services = filepath.Join(n.dir, "services")
	must(t, os.MkdirAll(n.services, 0o755))
	for name, text := range files {
		n.write(name, text)
	}
	socket := n.socket()
	n.http = &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	t.Cleanup(n.tearDown)
	return n
}

func (n *node) path(elem ...string) string { return filepath.Join(append([]string{n.dir}, elem...)...) }

func (n *node) socket() string { return n.path("run", "agent.sock") }

// write puts a file into the services' directory as a careful editor does.
func (n *node) write(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.services, name)
	must(n.t, os.MkdirAll(filepath.Dir(path), 0o755))
	draft := path + "~"
	must(n.t, os.WriteFile(draft, []byte(text), 0o644))
	must(n.t, os.Rename(draft, path))
}

func (n *node) start(args ...string) {
	n.t.Helper()
	config := fmt.Sprintf("node {\n name = %q\n %s\n}\nservices {\n dir = \"services\"\n}\nstate {\n dir = \"state\"\n run = \"run\"\n}\nlogs {\n level = \"debug\"\n}\n%s", n.name, n.labels, n.extra)
	must(n.t, os.WriteFile(n.path("agent.hcl"), []byte(config), 0o644))
	log, err := os.OpenFile(n.path("agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(n.t, err)
	defer func() { _ = log.Close() }() // the agent has its own
	words := append([]string{filepath.Join(bin, "svcctl"), "agent", "--config", n.path("agent.hcl")}, args...)
	if n.space != "" {
		words = append([]string{"nsenter", "--net=/run/netns/" + n.space, "--"}, words...)
	}
	n.agent = exec.Command(words[0], words[1:]...)
	n.agent.Stdout, n.agent.Stderr = log, log
	must(n.t, n.agent.Start())
	n.ended = make(chan struct{})
	go func(c *exec.Cmd, ended chan struct{}) {
		_ = c.Wait() // how it ended is in its log
		close(ended)
	}(n.agent, n.ended)
	n.await("the agent answers", func() string {
		select {
		case <-n.ended:
			n.t.Fatal("the agent ended at once")
		default:
		}
		_, err := n.fetch("/readyz")
		return text(err)
	})
}

// signal sends the agent a signal and waits for its end.
func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	must(n.t, n.agent.Process.Signal(s))
	select {
	case <-n.ended:
	case <-time.After(patience):
		_ = n.agent.Process.Signal(syscall.SIGQUIT) // it says where it is
		<-n.ended
		b, _ := os.ReadFile(n.path("agent.log"))
		n.t.Fatalf("the agent did not end within %s of %s:\n%s", patience, s, b[max(0, len(b)-20000):])
	}
	n.agent = nil
}

// tearDown stops every service by the front door, then ends what did not hear it. A
// second call does nothing.
func (n *node) tearDown() {
	if n.t.Failed() {
		if out, err := n.fetch("/v1/status"); err == nil {
			n.t.Logf("status: %s", out)
		}
		if b, err := os.ReadFile(n.path("agent.log")); err == nil {
			n.t.Logf("end of agent.log:\n%s", b[max(0, len(b)-6000):])
		}
	}
	if n.agent == nil && !n.t.Failed() {
		return // whoever ended the agent has seen to the services
	}
	if n.agent != nil {
		n.run("thaw", "--all")
		_ = n.agent.Process.Kill() // it may have ended by itself
		<-n.ended
		n.start("--stop-on-exit")
		n.until("all that runs is known", func(s *status) string {
			if len(s.Services) == 0 {
				return "no service"
			}
			for _, v := range s.Services {
				if v.State == "unknown" {
					return v.Name
				}
			}
			return ""
		})
		n.signal(syscall.SIGTERM)
	}
	if n.t.Failed() {
		n.clear()
	}
}

// clear ends what a failed test left, so that it is told once and not for ever.
func (n *node) clear() {
	for _, pid := range processes() {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		ours := bytes.Contains(env, []byte("SVCCTL_NODE="+n.name+"\x00"))
		if ours || strings.Contains(oursBecause(pid), n.dir+"/") {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/svcctl/" + strings.ReplaceAll(root[1:], "/", "-") + "-*")
	for _, g := range groups {
		if strings.Contains(strings.ReplaceAll(g, `\x2d`, "-"), "-"+n.name+"-run") {
			_, _ = command(".", "find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";")
		}
	}
}

// run is svcctl on the command line: what it wrote, and its exit code.
func (n *node) run(args ...string) (out string, code int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, "svcctl"), append([]string{"--server", "unix://" + n.socket()}, args...)...)
	b, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		n.t.Fatalf("svcctl %v: %v", args, err)
	}
	return string(b), c.ProcessState.ExitCode()
}

// wants runs svcctl and fails the test at another exit code.
func (n *node) wants(code int, args ...string) string {
	n.t.Helper()
	out, got := n.run(args...)
	if got != code {
		n.t.Fatalf("svcctl %s ends %d, want %d; it says: %s", strings.Join(args, " "), got, code, out)
	}
	return out
}

func (n *node) fetch(path string) ([]byte, error) {
	answer, err := n.http.Get("http://agent" + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, b)
	}
	return b, err
}

// readAll is the text of an answer that is not too long.
func readAll(answer *http.Response) string {
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<24))
	return string(b) + text(err)
}

// await asks until the answer is "", what is still missing, and gives up late.
func (n *node) await(what string, missing func() string) {
	n.t.Helper()
	await(n.t, what, missing)
}

func await(t *testing.T, what string, missing func() string) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain until %s: %s", patience, what, why)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sh runs a command of the host and returns what it wrote.
func sh(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(".", name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts, addresses or limits")
	}
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s, which is not installed", p)
		}
	}
}

// event is one line of `svcctl events --json`.
type event struct {
	ID      uint64    `json:"id"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Address string    `json:"address"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Message string    `json:"message"`
	PID     int       `json:"pid"`
	Exit    *struct {
		Code   int    `json:"code"`
		Signal string `json:"signal"`
	} `json:"exit"`
}

func (n *node) events() (all []event) {
	n.t.Helper()
	for d := json.NewDecoder(bytes.NewReader([]byte(n.wants(0, "events", "--json")))); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, e)
	}
}

// count is how often a resource entered a state.
func (n *node) count(address, to string) (times int) {
	n.t.Helper()
	for _, e := range n.events() {
		if e.Kind == "resource" && e.Address == address && e.To == to {
			times++
		}
	}
	return times
}

// follow opens the event stream and yields what comes until the agent ends it.
func (n *node) follow() <-chan event {
	n.t.Helper()
	c := exec.Command(filepath.Join(bin, "svcctl"), "--server", "unix://"+n.socket(), "events", "-f", "--json")
	pipe, err := c.StdoutPipe()
	must(n.t, err)
	must(n.t, c.Start())
	n.t.Cleanup(func() { _ = c.Process.Kill() }) // mostly it has ended
	events := make(chan event, 1024)
	ready := make(chan struct{})
	go func() {
		defer close(events)
		defer func() { _ = c.Wait() }() // killed, or told that the stream ended
		d := json.NewDecoder(pipe)
		for first := true; ; first = false {
			var e event
			if d.Decode(&e) != nil {
				return
			}
			if first {
				close(ready)
			}
			events <- e
		}
	}()
	select {
	case <-ready: // it tells the past first, so that it is open now
	case <-time.After(patience):
		n.t.Fatal("the event stream does not begin")
	}
	return events
}

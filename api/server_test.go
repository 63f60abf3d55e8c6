package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// helperSocket is set where this test binary runs as another user's client.
const helperSocket = "SVCCTL_TEST_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(helperSocket); socket != "" {
		os.Exit(askAsGuest(socket))
	}
	os.Exit(m.Run())
}

// askAsGuest prints what a user without rights is answered.
func askAsGuest(socket string) int {
	c, err := Dial("unix://" + socket)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx := context.Background()
	s, err := c.Status(ctx)
	fmt.Printf("status: %d services, %v\n", len(s.Services), err)
	err = c.Command(ctx, engine.CommandStop, CommandBody{Services: []string{"orders"}})
	fmt.Printf("stop: forbidden=%v %v\n", IsProblem(err, http.StatusForbidden), err)
	_, err = c.Apply(ctx, map[string][]byte{"a.hcl": []byte("")}, false)
	fmt.Printf("apply: forbidden=%v\n", IsProblem(err, http.StatusForbidden))
	_, err = c.Logs(ctx, "orders/app.main", 10, false)
	fmt.Printf("logs: forbidden=%v\n", IsProblem(err, http.StatusForbidden))
	err = c.RunTasks(ctx, TasksBody{Addresses: []spec.Address{"orders/task.report"}})
	fmt.Printf("run: forbidden=%v\n", IsProblem(err, http.StatusForbidden))
	err = c.HaltTasks(ctx, TasksBody{Addresses: []spec.Address{"orders/task.report"}})
	fmt.Printf("halt: forbidden=%v\n", IsProblem(err, http.StatusForbidden))
	return 0
}

func TestAnotherUserMayOnlyRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	dir, err := os.MkdirTemp("", "svcctl-guest") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	guest := filepath.Join(dir, "guest")
	if err := os.WriteFile(guest, program, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	agent := newScripted()
	serveOn(t, &Server{Agent: agent, Feed: newFeed()}, l)
	const nobody = 65534
	cmd := exec.CommandContext(within(t), guest)
	cmd.Env = []string{helperSocket + "=" + socket}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"status: 2 services, <nil>", "stop: forbidden=true", "may read the state only", "apply: forbidden=true", "logs: forbidden=true", "run: forbidden=true", "halt: forbidden=true"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("missing %q in:\n%s", want, out)
		}
	}
	if len(agent.commands) > 0 || agent.applied != nil {
		t.Errorf("the agent was asked: %v", agent.commands)
	}
}

func TestStatusHasTheShapeOfTheContract(t *testing.T) {
	reply := get(t, newScripted(), "/v1/status")
	var doc map[string]any
	if err := json.Unmarshal(reply.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	contract := `{"cluster":{"name":"prod","quorate":true,"leader":"n1","revision":12,
	 "nodes":[{"name":"n1","state":"alive","leader":true,"drained":false,"lease_remaining_s":0,"revision":"current"}]},
	 "services":[{"name":"orders","namespace":"default","topology":"failover","state":"up","frozen":false,
	  "node":"n1","epoch":7,"level":"kernel","why":"",
	  "instances":[{"node":"n1","state":"up","role":"active","why":"",
	   "resources":[{"address":"orders/mount.data","kind":"mount","state":"up","since":"2026-05-01T12:00:00Z",
	     "restarts":0,"error":"","checks":[]},
	    {"address":"orders/app.main","kind":"app","state":"up","since":"2026-05-01T12:00:00Z",
	     "restarts":0,"error":"","pid":42,"notices":["memory is not limited: no controller"],
	     "checks":[{"name":"ready","kind":"http","state":"up"}]}]}]},
	  {"name":"web","namespace":"shop","node":"","instances":[{"role":"none","resources":[]}]}]}`
	var want map[string]any
	if err := json.Unmarshal([]byte(contract), &want); err != nil {
		t.Fatal(err)
	}
	if missing := lacks(want, doc, "$"); len(missing) > 0 {
		t.Errorf("%s\n%s", strings.Join(missing, "\n"), reply.Body)
	}
}

// lacks names what got does not have of want; more is allowed.
func lacks(want, got any, at string) (missing []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		for k, v := range w {
			missing = append(missing, lacks(v, g[k], at+"."+k)...)
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s has not %d elements", at, len(w))}
		}
		for i := range w {
			missing = append(missing, lacks(w[i], g[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
	default:
		if want != got {
			return []string{fmt.Sprintf("%s is %v, not %v", at, got, want)}
		}
	}
	return missing
}

func get(t *testing.T, a Agent, path string) *httptest.ResponseRecorder {
	t.Helper()
	reply := httptest.NewRecorder()
	(&Server{Agent: a, Feed: newFeed()}).Handler().ServeHTTP(reply, httptest.NewRequestWithContext(within(t), http.MethodGet, path, nil))
	return reply
}

func TestLoadBalancersAreAnswered(t *testing.T) {
	for path, want := range map[string]int{
		"/health/default/orders/up":      200,
		"/health/default/orders/active":  200,
		"/health/default/orders/standby": 503,
		"/health/shop/web/up":            503,
		"/health/default/web/up":         503, // another namespace's
		"/health/default/orders/tired":   404,
		"/healthz":                       200,
		"/readyz":                        200,
		"/v2/status":                     404,
	} {
		if got := get(t, newScripted(), path).Code; got != want {
			t.Errorf("%s is answered %d, want %d", path, got, want)
		}
	}
	if got := get(t, &scripted{}, "/readyz").Code; got != 503 {
		t.Errorf("an agent without a snapshot is ready: %d", got)
	}
}

func TestACommandReachesTheAgentWithItsUser(t *testing.T) {
	agent := newScripted()
	c, _ := serve(t, agent, newFeed())
	err := c.Command(within(t), engine.CommandStop, CommandBody{Services: []string{"default/orders"}, Tags: []string{"db"}, Reason: "work"})
	if err != nil {
		t.Fatal(err)
	}
	got := agent.commands[0]
	if got.Verb != engine.CommandStop || !slices.Equal(got.Services, []string{"orders"}) || got.Reason != "work" || got.By != (peer{uint32(os.Getuid()), true}).name() {
		t.Errorf("the agent got %+v", got)
	}
}

func TestRefusalsSayWhatTheyAre(t *testing.T) {
	agent := newScripted()
	c, socket := serve(t, agent, newFeed())
	agent.refusal = fmt.Errorf("cannot start orders: it is frozen; thaw it first: %w", engine.ErrRefused)
	for _, step := range []struct {
		path, body string
		want       int
	}{
		{"/v1/services/default/orders/start", `{}`, http.StatusConflict},
		{"/v1/services/default/orders/start", ``, http.StatusConflict},
		{"/v1/services/default/nosuch/start", `{}`, http.StatusNotFound},
		{"/v1/services/default/orders/explode", `{}`, http.StatusNotFound},
		{"/v1/services/default/orders/start", `{"resorces":[]}`, http.StatusBadRequest},
		{"/v1/services/default/orders/start", `{} {}`, http.StatusBadRequest},
		{"/v1/services/default/orders/start", `{"verb":"stop"}`, http.StatusBadRequest},
		{"/v1/services/default/orders/start", `{"reason":"` + strings.Repeat("x", maxCommandBody) + `"}`, http.StatusRequestEntityTooLarge},
		{"/v1/command", `{"verb":"start"}`, http.StatusBadRequest},
		{"/v1/apply", `{}`, http.StatusBadRequest},
	} {
		status, p := post(t, c, step.path, step.body)
		if status != step.want || p.Status != step.want || p.Detail == "" {
			t.Errorf("%s %.40s is answered %d %+v, want %d", step.path, step.body, status, p, step.want)
		}
	}
	if _, err := Listen(socket); err == nil || !strings.Contains(err.Error(), "another agent answers there") {
		t.Errorf("a second agent may listen: %v", err)
	}
}

func post(t *testing.T, c *Client, path, body string) (int, Problem) {
	t.Helper()
	resp, err := c.http.Post(c.base+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var p Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, p
}

func TestMistakesInAnAppliedSetComeBackAsFindings(t *testing.T) {
	agent := newScripted()
	agent.apply = ApplyResult{Findings: []Finding{{Code: "SV0206", Severity: "error", File: "a.hcl", Line: 3, Summary: "no check"}}}
	c, _ := serve(t, agent, newFeed())
	_, err := c.Apply(within(t), map[string][]byte{"a.hcl": {0xff, 0x00}}, false)
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || len(p.Findings) != 1 || p.Findings[0].Line != 3 {
		t.Errorf("answered %v", err)
	}
	if !bytes.Equal(agent.applied["a.hcl"], []byte{0xff, 0x00}) {
		t.Errorf("the files did not arrive as they are: %q", agent.applied)
	}
}

func TestASocketThatADeadAgentLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestNobodyAtTheAddressIsNoAgent(t *testing.T) {
	c, err := Dial("unix://" + filepath.Join(t.TempDir(), "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(within(t)); !errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), "svcctl agent") {
		t.Errorf("says %v", err)
	}
	for _, bad := range []string{"", "agent.sock", "unix://agent.sock", "ftp://h"} {
		if _, err := Dial(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestLogsComeAsLines(t *testing.T) {
	agent := newScripted()
	agent.lines = []string{"one", "two\n", "three"}
	c, _ := serve(t, agent, newFeed())
	body, err := c.Logs(within(t), "orders/app.main", 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if got, err := io.ReadAll(body); string(got) != "two\nthree\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err := c.Logs(within(t), "orders/mount.data", 2, false); !IsProblem(err, http.StatusNotFound) {
		t.Errorf("a resource without output: %v", err)
	}
	if _, err := c.Logs(within(t), "orders", 2, false); !IsProblem(err, http.StatusBadRequest) {
		t.Errorf("no resource: %v", err)
	}
}

func FuzzCommandBodiesNeverPanic(f *testing.F) {
	f.Add([]byte(`{"resources":["app.main"],"until":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"services":null}`))
	agent := newScripted()
	h := (&Server{Agent: agent, Feed: newFeed()}).Handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/command", bytes.NewReader(body))
		r = r.WithContext(context.WithValue(r.Context(), peerKey{}, peer{uint32(os.Getuid()), true}))
		reply := httptest.NewRecorder()
		h.ServeHTTP(reply, r)
		if reply.Code >= 500 {
			t.Errorf("%q is answered %d", body, reply.Code)
		}
		agent.commands = nil
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/container"
	"github.com/svcctl/svcctl/drivers/disk"
	"github.com/svcctl/svcctl/drivers/dns"
	"github.com/svcctl/svcctl/drivers/exec"
	"github.com/svcctl/svcctl/drivers/grpc"
	checkhttp "github.com/svcctl/svcctl/drivers/http"
	"github.com/svcctl/svcctl/drivers/icmp"
	"github.com/svcctl/svcctl/drivers/ip"
	"github.com/svcctl/svcctl/drivers/mount"
	"github.com/svcctl/svcctl/drivers/netns"
	"github.com/svcctl/svcctl/drivers/route"
	"github.com/svcctl/svcctl/drivers/sql"
	"github.com/svcctl/svcctl/drivers/systemd"
	"github.com/svcctl/svcctl/drivers/tcp"
	"github.com/svcctl/svcctl/spec"
)

// used is what this process holds: goroutines, open files and threads.
type used struct{ goroutines, files, threads int }

func usedNow(t *testing.T) used {
	t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	return used{runtime.NumGoroutine(), count("/proc/self/fd"), count("/proc/self/task")}
}

// An agent that is reloaded for years opens and closes its drivers any number of times.
// What they share, such as a connection to an engine, may stay; nothing may grow.
func TestAThousandOpeningsOfEachKindLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir) // without a service manager
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // hangs up on everybody
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	here, port := listener.Addr().String(), listener.Addr().(*net.TCPAddr).Port
	engine := silentEngine(t, filepath.Join(dir, "engine.sock"))
	resources := map[string]any{
		"container": &container.Config{Engine: engine, Image: "x:1", Pull: "never"},
		"ip":        &ip.Config{Address: "127.0.77.77/32", Interface: "lo", Probe: "none"},
		"ip@":       &ip.Config{Address: "127.0.77.77/32", Netns: "svctest-none", Link: "none", Device: "lo", Probe: "none"},
		"mount":     &mount.Config{Type: "tmpfs", Path: dir + "/mnt"},
		"netns":     &netns.Config{Name: "svctest-none"},
		"route":     &route.Config{Destination: "10.77.77.0/24", Interface: "lo", Type: "unicast", Table: 254},
		"route@":    &route.Config{Destination: "10.77.77.0/24", Interface: "lo", Type: "unicast", Table: 254, Netns: "svctest-none"},
		"systemd":   &systemd.Config{Unit: "none.service", Scope: "user", Mode: "replace"},
	}
	checks := map[string]any{
		"disk":  &disk.Config{Path: dir},
		"dns":   &dns.Config{Server: "127.0.0.1:" + fmt.Sprint(port), Name: "x.test", Type: "A", Protocol: "tcp", Rcode: "NOERROR"},
		"exec":  &exec.Config{Command: []string{"/bin/true"}},
		"grpc":  &grpc.Config{Address: here},
		"http":  &checkhttp.Config{URL: "http://" + here + "/", Status: "200"},
		"icmp":  &icmp.Config{Host: "127.0.0.1", Family: "any", Count: 1, Size: 56, Interval: time.Millisecond},
		"sql":   &sql.Config{Engine: "mysql", Host: "127.0.0.1", Port: port, User: "x", TLS: "off", Query: "SELECT 1", Role: "any"},
		"sql@":  &sql.Config{Engine: "postgres", Host: "127.0.0.1", Port: port, User: "x", TLS: "off", Query: "SELECT 1", Role: "any"},
		"tcp":   &tcp.Config{Address: here},
		"tcp@n": &tcp.Config{Address: here, Netns: "svctest-none"},
	}
	kinds := newKinds(nil)
	for name, config := range resources {
		kind, _, _ := strings.Cut(name, "@")
		t.Run("resource "+name, func(t *testing.T) {
			leavesNothing(t, 1000, func(ctx context.Context) error {
				d, err := kinds.Open(drivers.Opening{Address: spec.Address("orders/" + kind + ".x"), Service: "orders", Node: "n1", RunDir: dir}, &spec.Resource{Kind: kind, Config: config})
				if err != nil {
					return err
				}
				if w, ok := d.(drivers.Watcher); ok {
					stop, err := w.Watch(func(drivers.Status) {})
					if err != nil && os.Geteuid() == 0 {
						return err
					}
					if err == nil {
						defer stop()
					}
				}
				_, _ = d.Status(ctx) // whatever it says of what is not there
				return nil
			})
		})
	}
	for name, config := range checks {
		kind, _, _ := strings.Cut(name, "@")
		t.Run("check "+name, func(t *testing.T) {
			rounds := 1000
			if kind == "exec" {
				rounds = 100 // processes take their time
			}
			leavesNothing(t, rounds, func(ctx context.Context) error {
				p, err := kinds.OpenCheck(drivers.Opening{Address: "orders/app.x", Service: "orders", Node: "n1"}, &spec.Check{Kind: kind, Name: "x", Config: config})
				if err == nil {
					_, _ = p.Status(ctx)
				}
				return err
			})
		})
	}
}

func TestManyNamespacesThatComeAndGoLeaveNothingBehind(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	kinds := newKinds(nil)
	leavesNothing(t, 200, func(ctx context.Context) error {
		d, err := kinds.Open(drivers.Opening{Address: "orders/netns.x"}, &spec.Resource{Kind: "netns", Config: &netns.Config{Name: fmt.Sprintf("svctest-leak-%d", os.Getpid())}})
		if err != nil {
			return err
		}
		return errors.Join(d.Start(ctx), d.Stop(ctx))
	})
}

// leavesNothing goes a few rounds for what is shared from the first use on, and then many.
func leavesNothing(t *testing.T, rounds int, once func(context.Context) error) {
	t.Helper()
	go_ := func(n int) {
		for range n {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := once(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	go_(20)
	before := usedNow(t)
	go_(rounds)
	const slack = 20 // what is on its way out, and the runtime's own threads
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var after used
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		after = usedNow(t)
		if after.goroutines <= before.goroutines+slack && after.files <= before.files+slack && after.threads <= before.threads+slack {
			return
		}
	}
	t.Errorf("before %+v, after %d rounds %+v", before, rounds, after)
}

// silentEngine is an engine without any container, in which nothing happens.
func silentEngine(t *testing.T, path string) (engine string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.44")
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			fmt.Fprint(w, "[]")
		}
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "unix://" + path
}

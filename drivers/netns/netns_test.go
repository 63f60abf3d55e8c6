package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

func named(t *testing.T) *Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	c := &Config{Name: fmt.Sprintf("svctest-%d.%s", os.Getpid(), strings.ToLower(t.Name()))}
	t.Cleanup(func() {
		if err := netns.Remove(c.Name); err != nil {
			t.Error(err)
		}
	})
	return c
}

func opened(t *testing.T, c *Config) drivers.Driver {
	t.Helper()
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{Address: "orders/netns.inner"}, &spec.Resource{Kind: "netns", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// occupied starts a process inside, and ends it behind the test.
func occupied(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", name, "sh", "-c", "echo in; exec sleep 1000")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestEveryPromiseOfADriverIsKept(t *testing.T) {
	c := named(t)
	drivertest.Run(t, drivertest.Harness{
		Open: func(t *testing.T) drivers.Driver { return opened(t, c) },
		Fingerprint: func(t *testing.T) string {
			id, err := netns.Identify(netns.Path(c.Name))
			return fmt.Sprint(id, err)
		},
		Break: func(t *testing.T) {
			if out, err := exec.Command("ip", "netns", "delete", c.Name).CombinedOutput(); err != nil {
				t.Fatalf("%s, %v", out, err)
			}
		},
		Occupy: func(t *testing.T) { occupied(t, c.Name) },
	})
}

func TestWhoIsInsideIsNamedAndTheNameStays(t *testing.T) {
	c := named(t)
	d := opened(t, c)
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	inside := occupied(t, c.Name)
	err := d.Stop(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d (s", inside.Process.Pid)) || !strings.Contains(err.Error(), "stop these first") {
		t.Error(err)
	}
	if s, err := d.Status(t.Context()); err != nil || s.State != drivers.Up {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestANamespaceOfOthersIsNamedAndStaysWithWhoIsInside(t *testing.T) {
	for of, make := range map[string]func(name string) error{
		"was not made by svcctl": func(name string) error { return netns.Make(name) },
		"belongs to billing/netns.other": func(name string) error {
			return (&driver{config: &Config{Name: name}, address: "billing/netns.other"}).Start(t.Context())
		},
	} {
		t.Run(of, func(t *testing.T) {
			c := named(t)
			c.Name = strings.NewReplacer("/", "-", " ", "-").Replace(c.Name)
			t.Cleanup(func() { netns.Remove(c.Name) })
			if err := make(c.Name); err != nil {
				t.Fatal(err)
			}
			inside := occupied(t, c.Name)
			d := opened(t, c)
			if s, err := d.Status(t.Context()); err != nil || s.State != drivers.Down || !strings.Contains(s.Detail, of) {
				t.Errorf("%+v, %v", s, err)
			}
			for range 2 {
				if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), of) || !strings.Contains(err.Error(), "choose another name") {
					t.Error(err)
				}
			}
			if err := d.(drivers.Killer).Kill(t.Context()); err != nil {
				t.Error(err)
			}
			if err := inside.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("who is inside was killed: %v", err)
			}
			if err := d.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := netns.Identify(netns.Path(c.Name)); err != nil {
				t.Errorf("it is gone: %v", err)
			}
		})
	}
}

func TestAFileOfOthersWhereTheNameWouldBeStays(t *testing.T) {
	c := named(t)
	path := netns.Path(c.Name)
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	d := opened(t, c)
	if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is something else (move it away)") {
		t.Error(err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestANameComesFromTheAddress(t *testing.T) {
	for address, want := range map[spec.Address]string{
		"orders/netns.inner":             "orders.inner",
		"prod/orders/netns.inner":        "prod.orders.inner",
		`prod/orders/netns.inner["a.b"]`: "prod.orders.inner@a.b",
	} {
		c := &Config{}
		c.SetAddress(address)
		if c.Name != want || len(c.Validate()) > 0 {
			t.Errorf("%s: %q, want %q; %v", address, c.Name, want, c.Validate())
		}
	}
	c := &Config{Name: "own"}
	c.SetAddress("orders/netns.inner")
	if c.Name != "own" || c.Exports()["path"].AsString() != "/run/netns/own" {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"a/b", "/run/netns/a", ".."} {
		if found := (&Config{Name: name}).Validate(); len(found) != 1 {
			t.Errorf("%q: %v", name, found)
		}
	}
}

func TestTheExampleLoadsAndSiblingsReadTheName(t *testing.T) {
	var r drivers.Registry
	Register(&r)
	if s := r.Resource("netns"); s.Example == "" || s.Field("name") == nil {
		t.Errorf("%+v", s)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const vip = "10.77.0.10"

// postgres is the shipped example on a host of its own: only its variables differ.
func postgres(t *testing.T, w *network) *node {
	t.Helper()
	n := newNode(t, nil)
	n.space = w.host("node")
	n.extra = "cluster {\n name = \"prod\"\n}\n"
	example := filepath.Join(module, "examples", "postgres", "services")
	text, err := os.ReadFile(filepath.Join(example, "orders.hcl"))
	must(t, err)
	hcl := string(text)
	for from, to := range map[string]string{
		`"/var/tmp/svcctl-orders.img"`: fmt.Sprintf("%q", n.path("orders.img")),
		`"/srv/svcctl-orders"`:         fmt.Sprintf("%q", n.path("orders")),
		`"pg0"`:                        `"eth0"`,
	} {
		if strings.Count(hcl, from) != 1 {
			t.Fatalf("the example does not say %s once", from)
		}
		hcl = strings.Replace(hcl, from, to, 1)
	}
	script, err := os.ReadFile(filepath.Join(example, "postgres.sh"))
	must(t, err)
	n.write("postgres.sh", string(script))
	n.write("orders.hcl", hcl)
	t.Cleanup(func() { // runs before the node's own: a failed test may have left it mounted
		if t.Failed() {
			_, _ = command("/", "umount", "-l", n.path("orders"))
		}
	})
	return n
}

func TestPostgresRunsOnItsDiskAndAddressAndIsHealedFromEveryLoss(t *testing.T) {
	needsRoot(t)
	needs(t, "psql", "ip", "nsenter", "mkfs.ext4")
	t.Parallel()
	w := newNetwork(t)
	w.add("node", "10.77.0.1/24")
	w.add("old", vip+"/24")
	w.add("client", "10.77.0.2/24")
	n := postgres(t, w)

	comesUp(t, w, n)

	n.step(w, "the address is removed by hand", func(t *testing.T) {
		before := n.pids()
		w.ip("node", "address", "del", vip+"/24", "dev", "eth0")
		n.healed(t, "orders/ip.vip")
		follows(t, w)
		kept(t, w)
		t.Logf("postgres was %d, is %d", before["orders/app.postgres"], n.pids()["orders/app.postgres"])
	})
	n.step(w, "postgres is killed", func(t *testing.T) {
		before := n.pids()
		kill(t, before["orders/app.postgres"])
		n.another(before, "orders/app.postgres")
		n.isUp("orders")
		kept(t, w)
	})
	n.step(w, "the mount is undone by hand", func(t *testing.T) {
		before := n.pids()
		sh(t, "umount", "-l", n.path("orders"))
		n.healed(t, "orders/mount.data")
		n.another(before, "orders/app.postgres")
		n.isUp("orders")
		kept(t, w)
	})
	n.step(w, "the service is stopped and nothing is left of it", func(t *testing.T) {
		n.wants(0, "stop", "orders", "--timeout", "90s")
		if a := w.ip("node", "-o", "address", "show", "dev", "eth0"); strings.Contains(a, vip) {
			t.Errorf("the address is still there: %s", a)
		}
		if _, err := os.Stat(n.path("orders", "main")); err == nil {
			t.Error("the file system is still mounted")
		}
		n.wants(0, "start", "orders", "--timeout", "90s")
		kept(t, w)
	})
}

// comesUp starts the service while another host believes that the address is elsewhere.
func comesUp(t *testing.T, w *network, n *node) {
	t.Helper()
	// The client knows the address with another MAC: the host that had it before.
	if out, err := w.in("client", "env", "PGCONNECT_TIMEOUT=5", "psql", "-w", "-h", vip, "-U", "postgres"); err == nil {
		t.Fatalf("somebody answers already: %s", out) // the attempt fills the neighbour cache
	}
	await(t, "the client knows the old owner", func() string {
		if is, want := w.believes("client", vip), w.mac("old"); is != want {
			return fmt.Sprintf("it believes %q, not %s", is, want)
		}
		return ""
	})
	w.ip("old", "address", "del", vip+"/24", "dev", "eth0")
	heard := w.listen("client", netip.MustParseAddr(vip))

	n.start()
	n.isUp("orders")
	select {
	case who := <-heard:
		if who != w.mac("node") {
			t.Errorf("%s announces the address, not %s", who, w.mac("node"))
		}
	case <-time.After(patience):
		t.Error("the client heard no gratuitous ARP")
	}
	follows(t, w)
	hasShape(t, n)
	query(t, w, "create table kept (word text); insert into kept values ('still here')")
}

// healed waits until a resource that was lost is up again: an event tells of the loss.
func (n *node) healed(t *testing.T, address string) {
	t.Helper()
	losses := func() (count int) {
		for _, e := range n.events() {
			if e.Address == address && e.From == "up" && e.To == "failed" {
				count++
			}
		}
		return count
	}
	await(t, address+" is noticed as lost, and healed", func() string {
		if losses() == 0 {
			return "no event tells of the loss"
		}
		if r := n.resource(address); r.State != "up" {
			return fmt.Sprintf("%s: %s", r.State, *r.Error)
		}
		return ""
	})
	n.isUp("orders")
}

// follows waits until the client's neighbour cache has the node's MAC.
func follows(t *testing.T, w *network) {
	t.Helper()
	await(t, "the client's neighbour cache follows", func() string {
		if is, want := w.believes("client", vip), w.mac("node"); is != want {
			return fmt.Sprintf("it believes %q, not %s", is, want)
		}
		return ""
	})
}

// query asks the database from the other host, through the address.
func query(t *testing.T, w *network, sql string) string {
	t.Helper()
	var out string
	await(t, "the database answers "+sql, func() string {
		var err error
		out, err = w.in("client", "env", "PGPASSWORD=an example, so everybody may know it", "PGCONNECT_TIMEOUT=5",
			"psql", "-X", "-w", "-A", "-t", "-q", "-h", vip, "-U", "postgres", "-c", sql)
		if err != nil {
			return out
		}
		return ""
	})
	return strings.TrimSpace(out)
}

func kept(t *testing.T, w *network) {
	t.Helper()
	if got := query(t, w, "select word from kept"); got != "still here" {
		t.Errorf("the database says %q", got)
	}
}

// hasShape holds `svcctl status --json` against its contract.
func hasShape(t *testing.T, n *node) {
	t.Helper()
	var s status
	must(t, json.Unmarshal([]byte(n.wants(0, "status", "--json")), &s))
	c := s.Cluster
	if c.Name != "prod" || !c.Quorate || c.Leader != n.name || c.Revision != 1 || len(c.Nodes) != 1 {
		t.Fatalf("cluster: %+v", c)
	}
	if m := c.Nodes[0]; m.Name != n.name || m.State != "alive" || !m.Leader || m.Drained == nil || *m.Drained || m.Lease == nil || m.Revision != "current" {
		t.Errorf("node: %+v", m)
	}
	v := s.service("orders")
	if v == nil || v.Namespace != "default" || v.Topology != "failover" || v.State != "up" || v.Frozen == nil || *v.Frozen ||
		v.Node != n.name || v.Epoch == 0 || v.Level == "" || v.Why == nil || *v.Why != "" || len(v.Instances) != 1 {
		t.Fatalf("service: %+v", v)
	}
	i := v.Instances[0]
	if i.Node != n.name || i.State != "up" || i.Role != "active" || i.Why == nil || len(i.Resources) != 4 {
		t.Fatalf("instance: %+v", i)
	}
	for _, r := range i.Resources {
		_, name, _ := strings.Cut(r.Address, "/")
		if r.State != "up" || r.Kind != strings.Split(name, ".")[0] || r.Since.IsZero() || r.Restarts == nil || *r.Restarts != 0 || r.Error == nil || *r.Error != "" || r.Checks == nil {
			t.Errorf("resource: %+v", r)
		}
	}
	for _, c := range s.resource("orders/app.postgres").Checks {
		if c.Name == "" || c.Kind == "" || c.State != "up" {
			t.Errorf("check: %+v", c)
		}
	}
}

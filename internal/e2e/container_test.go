package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/svcctl/svcctl/internal/testengine"
)

// shop is a whole service: a disk, an address, a container on both, and an app that
// needs the container.
func shop(t *testing.T, w *network, e *testengine.Engine) *node {
	t.Helper()
	n := newNode(t, nil)
	n.space = e.Namespace
	n.write("shop.hcl", fmt.Sprintf(`
service "shop" {
  loop "disk" {
    file = %q
    size = "32M"
  }
  mount "data" {
    device = loop.disk.device
    path   = %q
    type   = "ext4"
    mkfs   = true
  }
  ip "vip" {
    address   = "10.78.0.10/24"
    interface = "eth0"
  }
  container "web" {
    engine     = "unix://%s"
    image      = %q
    pull       = "never"
    name       = "svcctl-shop-web"
    volumes    = ["${mount.data.path}:/data"]
    ports      = ["${ip.vip.host}:8080:80"]
    memory     = "64M"
    pids       = 100
    kill_after = "1s"
    check "http" "ready" {
      url   = "http://${ip.vip.host}:8080/health"
      every = "200ms"
      fall  = 100 # while the engine is away, Docker's proxy of the port is too
    }
    ready = "check"
  }
  app "client" {
    command = ["/bin/sleep", "3600"]
    after   = [container.web]
    check "exec" "reads" {
      command = ["/bin/sh", "-c", "test -d $1", "sh", mount.data.path]
      every   = "1s"
    }
  }
}
`, n.path("disk.img"), n.path("data"), e.Socket, testengine.Image))
	t.Cleanup(func() { // runs before the node's own: a failed test may have left it mounted
		if t.Failed() {
			_, _ = command("/", "umount", "-l", n.path("data"))
		}
	})
	return n
}

// asks the container by the service's address, from another host.
func (n *node) asks(t *testing.T, w *network, path, want string) {
	t.Helper()
	await(t, "the container answers "+path, func() string {
		out, err := w.in("client", "curl", "-sS", "-m", "5", "http://10.78.0.10:8080"+path)
		if err != nil || out != want {
			return fmt.Sprintf("%q %v", out, err)
		}
		return ""
	})
}

func TestAContainerOnItsDiskAndAddressIsHealedFromEveryLoss(t *testing.T) {
	needsRoot(t)
	needs(t, "ip", "nsenter", "mkfs.ext4", "curl")
	for _, kind := range []string{"docker", "podman"} {
		t.Run(kind, func(t *testing.T) {
			w := newNetwork(t)
			w.add("node", "10.78.0.1/24")
			w.add("client", "10.78.0.2/24")
			e, err := testengine.Start(kind, testengine.Options{Namespace: w.host("node")})
			must(t, err)
			t.Cleanup(func() { must(t, e.End()) })
			n := shop(t, w, e)
			n.start()
			n.isUp("shop")
			n.asks(t, w, "/write?file=/data/word&text=kept", "")
			lossesOfTheContainer(t, w, n, e)
			if kind == "docker" {
				enginesAgain(t, w, n, e)
			}
			n.wants(0, "stop", "shop", "--timeout", "90s")
			if all, err := e.Containers(); err != nil || len(all) != 0 {
				t.Errorf("a stop leaves %v, %v", all, err)
			}
		})
	}
}

func lossesOfTheContainer(t *testing.T, w *network, n *node, e *testengine.Engine) {
	t.Helper()
	const web = "shop/container.web"
	lose := func(what string, how func()) {
		t.Helper()
		before := n.count(web, "failed")
		how()
		await(t, what+" is noticed and healed", func() string {
			if n.count(web, "failed") == before {
				return "no event tells of the loss"
			}
			if r := n.resource(web); r.State != "up" {
				return r.State + ": " + *r.Error
			}
			return ""
		})
		n.isUp("shop")
		n.asks(t, w, "/read?file=/data/word", "kept")
	}
	inspect := func() testengine.Container {
		t.Helper()
		c, err := e.Inspect("svcctl-shop-web")
		must(t, err)
		return c
	}
	first := inspect()
	lose("a kill", func() { kill(t, first.State.Pid) })
	if again := inspect(); again.ID != first.ID || again.State.Pid == first.State.Pid {
		t.Errorf("after a crash it is %+v, was %+v", again, first)
	}
	lose("a pause", func() {
		_, err := e.Do("POST", "/v1.41/containers/svcctl-shop-web/pause", nil)
		must(t, err)
	})
	if again := inspect(); again.ID != first.ID {
		t.Error("a pause was not healed in place")
	}
	lose("a removal", func() { // it kills first, and svcctl may be there before it removes
		await(t, "the container is removed", func() string {
			_, err := e.Do("DELETE", "/v1.41/containers/"+first.ID+"?force=1", nil)
			if _, gone := e.Inspect(first.ID); gone == nil {
				return "it is there: " + text(err)
			}
			return ""
		})
	})
	if again := inspect(); again.ID == first.ID {
		t.Error("it was never removed")
	}
}

// enginesAgain restarts the engine, without and with live-restore.
func enginesAgain(t *testing.T, w *network, n *node, e *testengine.Engine) {
	t.Helper()
	const web = "shop/container.web"
	before := n.count(web, "failed")
	must(t, e.Halt(syscall.SIGTERM))
	await(t, "the loss of the engine is told", func() string {
		if n.count(web, "failed") == before {
			return "no event tells of it"
		}
		return ""
	})
	e.Options.LiveRestore = true
	must(t, e.Launch())
	n.isUp("shop")
	n.asks(t, w, "/read?file=/data/word", "kept")

	was, err := e.Inspect("svcctl-shop-web")
	must(t, err)
	before = n.count(web, "failed")
	must(t, e.Halt(syscall.SIGKILL))
	await(t, "the status says that the engine does not answer", func() string {
		if out := n.wants(0, "status", "--json"); !strings.Contains(out, "does not answer") {
			return out
		}
		return ""
	})
	must(t, e.Launch())
	is, err := e.Inspect("svcctl-shop-web")
	must(t, err)
	n.isUp("shop")
	if is.State.Pid != was.State.Pid || n.count(web, "failed") != before {
		t.Errorf("an engine with live-restore came back, and process %d became %d", was.State.Pid, is.State.Pid)
	}
	kill(t, is.State.Pid) // and its events are heard again
	await(t, "a kill behind it is healed", func() string {
		if c, err := e.Inspect("svcctl-shop-web"); err != nil || !c.State.Running || c.State.Pid == is.State.Pid {
			return fmt.Sprint(c.State, err)
		}
		return ""
	})
	n.isUp("shop")
}

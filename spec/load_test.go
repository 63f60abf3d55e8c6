package spec

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

const orders = `
variable "vip" {
  default = "10.0.0.10/24"
}

service "orders" {
  description = "Orders database"
  nodes       = ["n1", "n2"]
  topology    = "failover"
  orchestrate = "auto"
  on_failure  = "relocate"
  rto         = "10s"
  rpo         = "0s"

  app "main" {
    command = ["/usr/local/bin/orders", "--listen", hostport(ip.vip.host, 8080), "--data", mount.data.path]
    user    = "orders"
    env     = { LOG = "info" }
    after   = [mount.data]

    restart {
      attempts = 3
      within   = "1m"
      backoff  = "500ms"
    }

    check "http" "ready" {
      url     = "http://${hostport(ip.vip.host, 8080)}/health"
      every   = "2s"
      timeout = "1s"
      fall    = 3
      rise    = 1
      on_fall = "restart"
    }
  }

  mount "data" {
    device = { n1 = "/dev/sdb1", n2 = "/dev/sdc1" }[node.name]
    path   = "/srv/orders"
    type   = "ext4"
  }

  ip "vip" {
    address   = var.vip
    interface = "eth0"
  }

  task "backup" {
    schedule = "0 3 * * *"
    command  = ["/usr/local/bin/backup", mount.data.path]
  }
}
`

func TestTheServiceOfTheDesignIsRead(t *testing.T) {
	l := NewLoader(testOptions)
	s := mustLoad(t, l, set("orders.hcl", orders))
	if !slices.Equal(s.Names, []string{"orders"}) {
		t.Fatalf("names %v", s.Names)
	}
	svc := s.Services["orders"]
	if svc.RTO != (Promise{true, 10 * time.Second}) || svc.RPO != (Promise{Set: true}) || svc.MaximumLag.Set {
		t.Errorf("promises %v %v %v", svc.RTO, svc.RPO, svc.MaximumLag)
	}
	if svc.Topology != Failover || svc.Orchestrate != Auto || svc.OnFailure != Relocate || svc.Namespace != "default" {
		t.Errorf("arguments %+v", svc)
	}
	app := resourceAt(t, s, "orders/app.main")
	want := []string{"/usr/local/bin/orders", "--listen", "10.0.0.10:8080", "--data", "/srv/orders"}
	if got := app.Config.(*appConfig).Command; !slices.Equal(got, want) {
		t.Errorf("command %q, want %q", got, want)
	}
	if want := []Address{"orders/ip.vip", "orders/mount.data"}; !slices.Equal(app.After, want) {
		t.Errorf("after %v, want %v", app.After, want)
	}
	if got := resourceAt(t, s, "orders/task.backup").After; !slices.Equal(got, []Address{"orders/mount.data"}) {
		t.Errorf("a reference implies an edge: %v", got)
	}
	if app.Restart != (Restart{3, time.Minute, 500 * time.Millisecond, 30 * time.Second, time.Minute}) {
		t.Errorf("restart %+v", app.Restart)
	}
	mount := resourceAt(t, s, "orders/mount.data")
	if mount.Restart != DefaultRestart || !mount.Monitor || mount.OnStuck != "kill" || mount.Timeouts != (Timeouts{time.Minute, 30 * time.Second}) {
		t.Errorf("defaults of mount: %+v", mount)
	}
	if got := mount.Config.(*mountConfig).Device; got != "/dev/sdb1" {
		t.Errorf("device on n1: %s", got)
	}
	check := app.Checks[0]
	if check.Every != 2*time.Second || check.Timeout != time.Second || check.Fall != 3 || check.OnFall != FallRestart ||
		check.Config.(*httpConfig).URL != "http://10.0.0.10:8080/health" {
		t.Errorf("check %+v %+v", check, check.Config)
	}
	position := map[Address]int{}
	for i, r := range svc.Resources {
		position[r.Address] = i
		for _, a := range r.After {
			if at, before := position[a]; !before || at > i {
				t.Errorf("%s stands before %s, which it is after", r.Address, a)
			}
		}
	}
	if len(l.Files()) != 1 {
		t.Errorf("files %v", l.Files())
	}
}

func TestANodeThatIsNoCandidateStillReadsTheSet(t *testing.T) {
	o := testOptions
	o.Node.Name = "n9"
	s := mustLoad(t, NewLoader(o), set("orders.hcl", orders))
	if got := resourceAt(t, s, "orders/mount.data").Config.(*mountConfig); got.Device != "" || got.Path != "/srv/orders" {
		t.Errorf("what differs from node to node is empty there: %+v", got)
	}
}

func TestAnUnknownNodeLeavesItsValuesEmpty(t *testing.T) {
	o := testOptions
	o.Node = Node{}
	s := mustLoad(t, NewLoader(o), set("orders.hcl", orders))
	if got := resourceAt(t, s, "orders/mount.data").Config.(*mountConfig).Device; got != "" {
		t.Errorf("device %q", got)
	}
	if got := resourceAt(t, s, "orders/app.main").Config.(*appConfig).Command; len(got) == 0 {
		t.Error("the command does not depend on the node, so it is known")
	}
}

func TestDefaultsAndDigestsOfARewrittenServiceAreTheSame(t *testing.T) {
	short := `service "a" {
  app "x" { command = ["/bin/true"] }
}`
	long := `
service "a" {
  app "x" {
    linger  = "1000ms" # the default, written
    command = [format("/bin/%s", "true")]
    monitor = true
  }
}`
	a := mustLoad(t, NewLoader(testOptions), set("a.hcl", short)).Services["a"]
	b := mustLoad(t, NewLoader(testOptions), set("a.hcl", long)).Services["a"]
	if a.Digest != b.Digest || a.Resources[0].Digest != b.Resources[0].Digest {
		t.Error("the same meaning has another digest")
	}
	c := mustLoad(t, NewLoader(testOptions), set("a.hcl", `service "a" {
  app "x" {
    command    = ["/bin/true"]
    memory_max = "1M"
  }
}`)).Services["a"]
	if c.Digest == a.Digest || c.Resources[0].Digest == a.Resources[0].Digest {
		t.Error("another meaning has the same digest")
	}
	if c.Resources[0].Fixed != a.Resources[0].Fixed {
		t.Error("a live argument is part of what needs a stop to change")
	}
	if !reflect.DeepEqual(a.Resources[0].Config, b.Resources[0].Config) {
		t.Error("configs differ")
	}
}

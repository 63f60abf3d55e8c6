package spec

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func taskAt(t *testing.T, s *Spec, a Address) *Resource {
	t.Helper()
	r := resourceAt(t, s, a)
	if r.Task == nil {
		t.Fatalf("%s is no task", a)
	}
	return r
}

func TestATaskIsReadApartFromTheResourcesThatItIsAfter(t *testing.T) {
	s := mustLoad(t, NewLoader(testOptions), set("orders.hcl", orders))
	svc := s.Services["orders"]
	if len(svc.Tasks) != 1 || slices.ContainsFunc(svc.Resources, func(r *Resource) bool { return r.Task != nil }) {
		t.Fatalf("tasks %v", svc.Tasks)
	}
	r := taskAt(t, s, "orders/task.backup")
	if want := []Address{"orders/mount.data"}; !slices.Equal(r.After, want) {
		t.Errorf("after %v, want %v", r.After, want)
	}
	if r.Task.Text != "0 3 * * *" || r.Task.Timeout != 24*time.Hour || r.Task.Spread != 0 || r.Task.Missed != MissedSkip || r.Task.Zone != "" {
		t.Errorf("defaults of a task: %+v", r.Task)
	}
	from := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	if next := r.Task.Schedule.Next(from); !next.Equal(time.Date(2026, 5, 2, 3, 0, 0, 0, time.Local)) {
		t.Errorf("without a zone it is the node's own: due %s", next)
	}
}

func TestTasksWithForEachAndAZone(t *testing.T) {
	s := mustLoad(t, NewLoader(testOptions), set("a.hcl", `service "a" {
  task "dump" {
    for_each = { z = "0 1 * * *", b = "30 2 * * *" }
    command  = ["/dump", each.key]
    schedule = each.value
    timezone = "Asia/Tokyo"
    spread   = "10m"
    timeout  = "1h"
    missed   = "run"
    disabled = true
    tags     = ["nightly"]
  }
  task "asked" {
    command = ["/bin/true"]
  }
}`))
	var addresses []string
	for _, r := range s.Services["a"].Tasks {
		addresses = append(addresses, string(r.Address))
	}
	if got, want := strings.Join(addresses, " "), `a/task.asked a/task.dump["b"] a/task.dump["z"]`; got != want {
		t.Errorf("tasks %s, want %s", got, want)
	}
	r := taskAt(t, s, `a/task.dump["z"]`)
	if next := r.Task.Schedule.Next(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)); !next.Equal(time.Date(2026, 5, 1, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("due %s", next)
	}
	if r.Task.Spread != 10*time.Minute || r.Task.Timeout != time.Hour || r.Task.Missed != MissedRun || !r.Disabled || !slices.Equal(r.Tags, []string{"nightly"}) {
		t.Errorf("%+v of %+v", r.Task, r)
	}
	if asked := taskAt(t, s, "a/task.asked"); asked.Task.Schedule != nil {
		t.Error("without a schedule there is one")
	}
}

func TestAChangedScheduleChangesTheServiceAndNotItsResources(t *testing.T) {
	m := set("orders.hcl", orders)
	l := NewLoader(testOptions)
	before := mustLoad(t, l, m)
	for _, change := range [][2]string{{"0 3 * * *", "0 4 * * *"}, {"0 4 * * *\"", "0 4 * * *\"\n    timeout = \"2h\""}, {"mount.data.path]\n  }\n}", "mount.data.path]\n    after = [ip.vip]\n  }\n}"}} {
		src := string(m["orders.hcl"].Data)
		if !strings.Contains(src, change[0]) {
			t.Fatalf("no %q in\n%s", change[0], src)
		}
		write(m, "orders.hcl", strings.ReplaceAll(src, change[0], change[1]))
		after := mustLoad(t, l, m)
		if after.Services["orders"].Digest == before.Services["orders"].Digest {
			t.Errorf("%q: the service has the same digest", change[1])
		}
		for i, r := range after.Services["orders"].Resources {
			if r.Digest != before.Services["orders"].Resources[i].Digest {
				t.Errorf("%q: %s has another digest", change[1], r.Address)
			}
		}
		before = after
	}
}

func TestAZoneThatIsMeantIsFoundByItsCity(t *testing.T) {
	for name, want := range map[string]string{"Paris": "Europe/Paris", "europe/berlin": "Europe/Berlin", "America/NewYork": "America/New_York", "Asia/New York": "America/New_York"} {
		if got := zoneHint(name); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, n := range strings.Fields(zoneNames) {
		if _, err := time.LoadLocation(n); err != nil {
			t.Errorf("%s is suggested and not there: %v", n, err)
		}
	}
}

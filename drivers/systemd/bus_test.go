package systemd

import (
	"runtime"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestSignalsThatNobodyReadsAreNotKeptAndTheEndsOfJobsStillArrive(t *testing.T) {
	in := newIntake()
	jobs := make(chan *dbus.Signal, 1)
	in.AddSignal(jobs)
	defer in.Terminate()
	before := runtime.NumGoroutine()
	changed := &dbus.Signal{Name: "org.freedesktop.DBus.Properties.PropertiesChanged", Path: "/org/freedesktop/systemd1/unit/a_2eservice", Body: []any{"org.freedesktop.systemd1.Unit"}}
	for range 10 * queued {
		in.DeliverSignal("org.freedesktop.DBus.Properties", "PropertiesChanged", changed)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines wait with signals", n-before)
	}
	in.DeliverSignal("org.freedesktop.systemd1.Manager", "JobRemoved", &dbus.Signal{Name: "org.freedesktop.systemd1.Manager.JobRemoved"})
	if s := <-jobs; s.Name != "org.freedesktop.systemd1.Manager.JobRemoved" {
		t.Errorf("the library was given %s", s.Name)
	}
	if len(in.units) != queued || len(in.missed) != 1 || <-in.units != "a_2eservice" {
		t.Errorf("%d are queued, %d told as missed", len(in.units), len(in.missed))
	}
}

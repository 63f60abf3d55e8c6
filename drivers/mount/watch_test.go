package mount

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
)

func TestWhatACallHasHalfDoneIsNotTold(t *testing.T) {
	needRoot(t)
	c := &Config{Device: filepath.Dir(at(t)), Path: at(t), Type: "bind", Options: []string{"ro"}}
	run(t, "mkdir", c.Path)
	d := &driver{host: newHost(), config: c}
	told := make(chan drivers.Status, 8)
	end, err := d.Watch(func(s drivers.Status) { told <- s })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	half := func() {} // tells of the reading that was taken half way
	err = d.host.calls.do(within(t), "mount", c.Path, func(context.Context, *call) error {
		run(t, "mount", "--bind", c.Device, c.Path)
		var v view
		if err := d.host.table.look(c.Path, c.Device, &v); err != nil {
			return err
		}
		seen := d.judge(c, &v)
		if seen.State != drivers.Failed {
			t.Errorf("half way it is %+v", seen)
		}
		half = func() {
			for s := range d.host.watch.subs {
				s.tell(seen, v.reading)
			}
		}
		half()
		run(t, "mount", "-o", "remount,bind,ro", c.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-told:
		if s.State != drivers.Up {
			t.Errorf("told %+v", s)
		}
	default:
		t.Error("the call has ended, and nothing was told")
	}
	half() // a poll that was overtaken by the call
	run(t, "umount", c.Path)
	select {
	case s := <-told:
		if s.State != drivers.Down {
			t.Errorf("told %+v behind the call", s)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing is told of what happens behind the call")
	}
}

func TestATableThatIsTheSameIsNotParsedAgain(t *testing.T) {
	needRoot(t)
	var kept table
	path := at(t)
	look := func(want bool) {
		t.Helper()
		var v view
		if err := kept.look(path, "", &v); err != nil || v.found != want || v.reading != kept.readings {
			t.Fatalf("found %v, want %v, at reading %d of %d, %v", v.found, want, v.reading, kept.readings, err)
		}
	}
	look(false)
	allocated := 1.0
	for tries := 0; allocated > 0 && tries < 5; tries++ { // other tests' mounts may go meanwhile
		allocated = testing.AllocsPerRun(20, func() { look(false) })
	}
	if allocated > 0 {
		t.Errorf("%v allocations for a look at what is known", allocated)
	}
	run(t, "mkdir", path)
	run(t, "mount", "-t", "tmpfs", "tmpfs", path)
	look(true)
	run(t, "umount", path)
	look(false)
}

package keeper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAKeeperThatLeavesBecauseNobodyNeedsItTakesNoStartAnyMore(t *testing.T) {
	s := &server{groups: &groups{}, entries: map[string]*entry{}, conns: map[*conn]struct{}{}, births: make(chan *birth, 1), out: testOutputs(t)}
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	if !s.tidy(tick) {
		t.Fatal("an idle keeper without clients thinks that it is needed")
	}
	var got error
	s.start(&Request{ID: "a", Path: "/bin/true", Args: []string{"true"}}, func(_ Process, err error) { got = err })
	if got == nil || !strings.Contains(got.Error(), "ending") {
		t.Errorf("it took a process that would die with it: %v", got)
	}
}

func TestANotifierThatIsGoneReadsNothingOfWhoeverHasItsNumberNow(t *testing.T) {
	o := testOutputs(t)
	n, _, err := newNotifier("", func([]byte, uint32) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.addNotifier(n); err != nil {
		t.Fatal(err)
	}
	o.removeNotifier(n)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	if pair[0] != n.fd {
		if err := unix.Dup2(pair[0], n.fd); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
	}
	defer unix.Close(n.fd)
	if _, err := unix.Write(pair[1], []byte("frame")); err != nil {
		t.Fatal(err)
	}
	o.receive(n, make([]byte, 64)) // the event was taken before the socket went
	buf := make([]byte, 64)
	if size, _, err := unix.Recvfrom(n.fd, buf, unix.MSG_DONTWAIT); err != nil || string(buf[:size]) != "frame" {
		t.Errorf("the new owner of the descriptor reads %q (%v)", buf[:max(size, 0)], err)
	}
}

func testOutputs(t *testing.T) *outputs {
	t.Helper()
	o, err := newOutputs()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheGroupOfAnIdThatIsStartedAgainIsNotRemovedBehindItsBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("control groups need root")
	}
	g := findGroups("svcctl-test-" + filepath.Base(t.TempDir()))
	if g.v2 == "" {
		t.Skip("there is no cgroup2 here")
	}
	t.Cleanup(g.close)
	s := &server{groups: g, entries: map[string]*entry{}, removals: make(chan string, 1), idle: time.Hour}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case id := <-s.removals:
				s.discarded(id)
			case <-stop:
				return
			}
		}
	}()
	for i := range 20_000 {
		s.discard("a") // forgotten
		s.mu.Lock()
		s.entries["a"] = &entry{id: "a"} // and started again
		s.mu.Unlock()
		fd, err := g.open("a")
		if err != nil {
			t.Fatal(err)
		}
		// As a clone into the group would: it fails in one that was removed.
		_, err = os.Stat(filepath.Join("/proc/self/fd", strconv.Itoa(fd), "cgroup.procs"))
		unix.Close(fd)
		if err != nil {
			t.Fatalf("round %d: the group was removed while a process was to be born in it", i)
		}
		s.mu.Lock()
		delete(s.entries, "a")
		s.mu.Unlock()
	}
}

func TestWhatAProcessTellsBeforeItsStartIsKnownIsHeard(t *testing.T) {
	e := &entry{id: "a"}
	b := &birth{entry: e, req: &Request{ID: "a", Notify: true}, run: 7}
	e.birth = b
	s := &server{groups: &groups{}}
	for range 100 {
		s.notified(e, 7, []byte("READY=1\nSTATUS=serving"), 0)
	}
	s.notified(e, 6, []byte("STATUS=of the run before"), 0)
	if len(b.early) > maxEarly {
		t.Errorf("%d messages are kept", len(b.early))
	}
	s.commit(b)
	if !e.p.Ready || e.p.Text != "serving" {
		t.Errorf("known then: %+v", e.p)
	}
}

package keeper

import (
	"bufio"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// talk sends one frame over a connection of its own and reads the answer.
func (w *world) talk(f *frame) *frame {
	w.t.Helper()
	n, err := net.Dial("unix", filepath.Join(w.opts.RunDir, socketName))
	if err != nil {
		w.t.Fatal(err)
	}
	defer n.Close()
	if _, err := n.Write(encode(f)); err != nil {
		w.t.Fatal(err)
	}
	a, _, err := readFrame(bufio.NewReader(n), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestAClientOfTheNextVersionIsAnswered(t *testing.T) {
	w := newWorld(t, nil)
	a := w.talk(&frame{Seq: 1, Op: opHello, Version: version + 1})
	if a.Error != "" || a.Version != version || a.Keeper == nil || a.Keeper.Build != Build || strings.Join(a.Features, " ") != "sandbox credentials replace" {
		t.Errorf("it answers %+v", a)
	}
	if a := w.talk(&frame{Seq: 1, Op: opHello, Version: oldest - 1}); !strings.Contains(a.Error, "upgrade the client") {
		t.Errorf("to one that is too old it says %q", a.Error)
	}
}

func TestAKeeperOfBeforeIsNotAskedForWhatItWouldIgnore(t *testing.T) {
	for feature, f := range map[string]*frame{
		"sandbox":     {Op: opStart, Start: &Request{ID: "a", Confine: &Confinement{}}},
		"credentials": {Op: opStart, Start: &Request{ID: "a", Files: map[string][]byte{"key": nil}}},
		"replace":     {Op: opReplace},
	} {
		if got := f.missing(&conn{}); got != feature {
			t.Errorf("an old one lacks %q for what needs %s", got, feature)
		}
		if got := f.missing(&conn{features: features}); got != "" {
			t.Errorf("one of today lacks %q", got)
		}
		old, newer := tooOld(f, feature, nil).Error(), tooOld(f, feature, features).Error()
		if !strings.Contains(old, "knows no "+feature) || strings.Contains(old, "systemctl reload") || !strings.Contains(newer, "systemctl reload svcctl-keeper") {
			t.Errorf("%s\n%s", old, newer)
		}
	}
}

func TestACommandHasItTakeUpItsProgram(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	p := w.shell("a", "exec sleep 1000")
	install(t, program)
	keeper := keeperPID(w.opts.RunDir)
	if said, err := exec.Command(program, "keeper", "--run", w.opts.RunDir, "--replace").CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("%v: %s", err, said)
	}
	if !runs(keeper, program) || !alive(p.PID) {
		t.Error("it did not take it up")
	}
	said, err := exec.Command(program, "keeper", "--run", t.TempDir(), "--replace").CombinedOutput()
	if err == nil || !strings.Contains(string(said), "cannot reach a keeper") {
		t.Errorf("without a keeper it says %v: %s", err, said)
	}
}

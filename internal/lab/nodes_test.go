package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The test's own binary is the init of its nodes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "lab-init" {
		o := InitOptions{Dir: os.Args[3], Group: os.Args[5], Name: os.Args[7], Command: os.Args[9:]}
		if err := Init(o); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newLab(t *testing.T, nodes int) (*Lab, []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range []string{"ip", "nft", "mkfs.ext4", "nsenter", "bash", "ping"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	l, err := New(filepath.Join(t.TempDir(), "lab"), fmt.Sprintf("lt%d", os.Getpid()%1000), Options{Nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Remove(); err != nil {
			t.Error(err)
		}
		if out, _ := exec.Command("ip", "netns", "list").CombinedOutput(); strings.Contains(string(out), l.Name+"-") {
			t.Errorf("left: %s", out)
		}
		if out, _ := exec.Command("losetup", "-a").CombinedOutput(); strings.Contains(string(out), l.Dir) {
			t.Errorf("left: %s", out)
		}
		if dirs, _ := filepath.Glob(l.group(l.Nodes[0]) + "*"); len(dirs) > 0 {
			t.Errorf("left: %s", dirs)
		}
	})
	return l, []string{os.Args[0], "lab-init"}
}

func TestNodesLiveAndDieOnTheirOwn(t *testing.T) {
	l, self := newLab(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, n := range l.Nodes {
		if err := l.Boot(n, self, "/bin/sleep", "1000"); err != nil {
			t.Fatal(err)
		}
	}
	n1, n2, n3 := l.Nodes[0], l.Nodes[1], l.Nodes[2]
	run := func(n *Node, args ...string) string {
		t.Helper()
		out, err := l.Run(ctx, n, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	reaches := func(from, to *Node) bool {
		_, err := l.Run(ctx, from, "ping", "-c", "1", "-W", "1", to.Address)
		return err == nil
	}
	await(ctx, t, "n1 reaches n2", func() bool { return reaches(n1, n2) })
	if name := run(n2, "hostname"); name != "n2" {
		t.Errorf("n2 is called %s", name)
	}
	await(ctx, t, "init keeps its command running", func() bool {
		return strings.Contains(run(n1, "cat", "/proc/2/cmdline"), "sleep") || strings.Contains(run(n1, "ps", "ax"), "sleep 1000")
	})

	// A disk of its own, which a loss of power does not take; a boot id that it does.
	run(n1, "sh", "-c", "echo kept > /var/lib/svcctl/word && sync && echo gone > /run/word")
	if _, err := l.Run(ctx, n2, "cat", "/var/lib/svcctl/word"); err == nil {
		t.Error("n2 sees the disk of n1")
	}
	if _, err := os.Stat("/var/lib/svcctl/word"); err == nil {
		t.Error("this machine sees the disk of n1")
	}
	boot := run(n1, "cat", "/proc/sys/kernel/random/boot_id")
	if other := run(n2, "cat", "/proc/sys/kernel/random/boot_id"); other == boot || len(boot) != 36 {
		t.Errorf("boot ids %q and %q", boot, other)
	}
	if err := l.Crash(n1); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(ctx, n1, "true"); err == nil {
		t.Error("a node that is off runs commands")
	}
	if reaches(n2, n1) {
		t.Error("a node that is off answers")
	}
	if err := l.Boot(n1, self); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, "n1 is back", func() bool { return reaches(n2, n1) })
	if word := run(n1, "cat", "/var/lib/svcctl/word"); word != "kept" {
		t.Errorf("after the crash its disk says %q", word)
	}
	if _, err := l.Run(ctx, n1, "cat", "/run/word"); err == nil {
		t.Error("memory outlived the crash")
	}
	if again := run(n1, "cat", "/proc/sys/kernel/random/boot_id"); again == boot {
		t.Error("the boot id is that of the boot before")
	}

	// Faults of the network, and another program that finds the lab.
	if err := l.Lose(ctx, Cut{From: "n1", To: "n2"}); err != nil {
		t.Fatal(err)
	}
	if reaches(n2, n1) || !reaches(n3, n1) {
		t.Error("one way is cut, between n1 and n2, and that alone")
	}
	found, err := Open(l.Dir)
	if err != nil || len(found.Cuts) != 1 || found.Nodes[0].PID != n1.PID {
		t.Fatalf("found %+v, %v", found, err)
	}
	if err := found.Mend(ctx); err != nil {
		t.Fatal(err)
	}
	l.Cuts = nil
	if !reaches(n2, n1) {
		t.Error("it is mended")
	}
	if err := l.Unplug(ctx, n3, true); err != nil {
		t.Fatal(err)
	}
	if reaches(n2, n3) {
		t.Error("n3 is unplugged")
	}
	if carrier := run(n3, "cat", "/sys/class/net/eth0/carrier"); carrier != "0" {
		t.Errorf("n3 sees the carrier %s", carrier)
	}
}

func TestThereIsNoLabWhereNoneWasMade(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}

// await looks until a condition holds: nothing tells of it.
func await(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

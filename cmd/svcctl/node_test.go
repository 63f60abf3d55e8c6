package main

import (
	"strings"
	"testing"

	"github.com/svcctl/svcctl/engine"
)

func TestNodeShutdownWaitsUntilAllIsOffAndResumeBringsItBack(t *testing.T) {
	w, line := newWorld(t)
	code, _, stderr := line("node", "shutdown")
	if code != 0 || !strings.Contains(stderr, "orders/app.main down") {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	if s := w.view("orders"); s.State != engine.InstanceDown || !strings.Contains(s.Why, "shut down by") {
		t.Errorf("orders is %s, %q", s.State, s.Why)
	}
	if code, out, _ := line("node", "resume"); code != 0 || !strings.Contains(out, "resumed") {
		t.Errorf("exit %d: %s", code, out)
	}
	if s := w.view("orders"); s.State != engine.InstanceUp {
		t.Errorf("orders is %s after resume", s.State)
	}
	if s := w.view("shop/web"); s.State != engine.InstanceDown {
		t.Errorf("shop/web is %s, and nobody started it", s.State)
	}
}

func TestNodeShutdownNamesWhatDoesNotStop(t *testing.T) {
	w, line := newWorld(t)
	w.mu.Lock()
	w.held["stop orders/app.data"] = true
	w.mu.Unlock()
	code, _, stderr := line("node", "shutdown", "--timeout", "300ms")
	if code != exitTimeout || !strings.Contains(stderr, "orders: stopping") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := line("node", "shutdown", "--timeout", "0s"); code != exitUsage {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

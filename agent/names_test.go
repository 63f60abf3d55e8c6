package agent

import (
	"context"
	"testing"
	"time"
)

func TestNamesThatNoDirectoryCouldHoldAreRefusedByApplyAndPlan(t *testing.T) {
	s := newSite(t)
	s.write("a.hcl", things("a", "1"))
	s.boot()
	s.untilUp("a/thing.t0")
	good := []byte(things("a", "1"))
	for _, name := range []string{"", ".", "/", "/a.hcl", "../a.hcl", "x/../a.hcl", "./a.hcl", "x//a.hcl", "x/", "a\x00.hcl"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		files := map[string][]byte{"a.hcl": good, name: good}
		if out, err := s.agent.Apply(ctx, files, false, "test"); err == nil {
			t.Errorf("apply took a file %q: %+v", name, out)
		}
		if _, findings, err := s.agent.Plan(ctx, files); err == nil {
			t.Errorf("plan took a file %q: %v", name, findings)
		}
		cancel()
	}
	// A name can't be a file and a folder.
	files := map[string][]byte{"a.hcl": good, "x": nil, "x/b.hcl": []byte(things("b", "1"))}
	if out, err := s.agent.Apply(t.Context(), files, false, "test"); err == nil {
		t.Errorf("apply took a file that is a folder: %+v", out)
	}
}

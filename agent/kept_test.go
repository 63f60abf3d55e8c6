package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/engine"
)

func runKeeper(t *testing.T, dir string) *kept[string, engine.Intent] {
	k := newIntents(dir, hclog.NewNullLogger())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { k.run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return k
}

func TestWhatOperatorsWantOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	k := runKeeper(t, dir)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k.set("web", &engine.Intent{State: engine.WishStopped, By: "alice"})
	k.set("db", &engine.Intent{Frozen: &engine.Freeze{By: "bob", Reason: "disk swap", Since: since}})
	k.set("old", &engine.Intent{State: engine.WishStarted})
	k.set("old", nil)
	<-k.written()
	again := newIntents(dir, hclog.NewNullLogger()).load()
	if len(again) != 2 || again["web"].State != engine.WishStopped || again["web"].By != "alice" {
		t.Errorf("read back: %+v", again)
	}
	if f := again["db"].Frozen; f == nil || f.Reason != "disk swap" || !f.Since.Equal(since) {
		t.Errorf("the freeze read back: %+v", f)
	}
}

func TestAnIntentThatCannotBeWrittenDelaysNobodyAndIsWrittenLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	k := newIntents(dir, hclog.NewNullLogger())
	k.set("web", &engine.Intent{State: engine.WishStopped})
	waiting := k.written()
	k.save()
	<-waiting // answered though nothing could be written
	if k.fault() == "" {
		t.Fatal("no fault is told")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	k.save()
	if f := k.fault(); f != "" {
		t.Errorf("the fault stays: %s", f)
	}
	if got := newIntents(dir, hclog.NewNullLogger()).load(); got["web"].State != engine.WishStopped {
		t.Errorf("read back: %+v", got)
	}
}

func TestAnIntentFileThatVanishedIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	k := newIntents(dir, hclog.NewNullLogger())
	k.set("web", &engine.Intent{State: engine.WishStopped})
	k.save()
	if err := os.Remove(filepath.Join(dir, "intents.json")); err != nil {
		t.Fatal(err)
	}
	k.missing()
	k.save()
	if got := newIntents(dir, hclog.NewNullLogger()).load(); got["web"].State != engine.WishStopped {
		t.Errorf("read back: %+v", got)
	}
}

func TestADamagedIntentFileIsPutAsideNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "intents.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"intents":{"we`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := newIntents(dir, hclog.NewNullLogger()).load(); len(got) != 0 {
		t.Errorf("read from a damaged file: %+v", got)
	}
	if b, err := os.ReadFile(path + ".damaged"); err != nil || len(b) == 0 {
		t.Errorf("the damaged file is gone: %v", err)
	}
}

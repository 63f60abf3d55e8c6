package agent

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestIntentsAreReadBackAfterARestart(t *testing.T) {
	state := t.TempDir()
	in, err := openIntents(state)
	must(t, err)
	want := intent{State: "stopped", Overrides: map[string]string{"orders/app.main": "down"}, Frozen: &freeze{By: "ada", Reason: "disk swap", Since: noon, Until: noon.Add(time.Hour)}}
	must(t, in.Set("orders", want))
	must(t, in.Set("web", intent{State: "started"}))
	must(t, in.Set("web", intent{}))
	again, err := openIntents(state)
	must(t, err)
	if !reflect.DeepEqual(again.All(), map[string]intent{"orders": want}) {
		t.Fatalf("%+v", again.All())
	}
}

func TestIntentsThatCannotBeWrittenHoldAndAreWrittenLater(t *testing.T) {
	state := t.TempDir()
	mount(t, "tmpfs", state, "tmpfs", syscall.MS_RDONLY, "size=64k")
	in, err := openIntents(state)
	must(t, err)
	if err := in.Set("orders", intent{State: "stopped"}); !errors.Is(err, syscall.EROFS) || !errors.Is(in.Fault(), syscall.EROFS) {
		t.Fatal(err)
	}
	if in.Get("orders").State != "stopped" {
		t.Fatal("the intent does not hold")
	}
	must(t, syscall.Mount("", state, "", syscall.MS_REMOUNT, "size=64k"))
	must(t, in.Flush())
	again, err := openIntents(state)
	must(t, err)
	if again.Get("orders").State != "stopped" || in.Fault() != nil {
		t.Fatal("the intent was not written later")
	}
}

func TestDamagedIntentsAreToldAndKept(t *testing.T) {
	for _, content := range []string{"{", `{"version":2}`, `{"version":1,"services":{"a":{"state":"perhaps"}}}`, `{"version":1,"services":{"a":{"overrides":{"b":"sideways"}}}}`} {
		state := t.TempDir()
		path := filepath.Join(state, "intents.json")
		put(t, path, content)
		in, err := openIntents(state)
		if err == nil || !strings.Contains(err.Error(), path) || len(in.All()) != 0 {
			t.Errorf("%s: %v, %v", content, err, in.All())
		}
		must(t, in.Set("a", intent{State: "started"}))
		if raw, _ := os.ReadFile(path + ".damaged"); string(raw) != content {
			t.Errorf("%s was not kept", content)
		}
	}
}

func TestIntentsThatCouldNotBeReadAreNotWrittenOver(t *testing.T) {
	top := t.TempDir()
	state, away := filepath.Join(top, "state"), filepath.Join(top, "away")
	must(t, os.Mkdir(away, 0o700))
	before, err := openIntents(away)
	must(t, err)
	must(t, before.Set("orders", intent{State: "stopped"}))
	put(t, state, "") // no directory
	in, err := openIntents(state)
	if err == nil {
		t.Fatal("read from nowhere")
	}
	if err := in.Set("web", intent{State: "stopped"}); err == nil {
		t.Fatal("written to nowhere")
	}
	must(t, os.Remove(state))
	must(t, os.Rename(away, state))
	must(t, in.Flush())
	again, err := openIntents(state)
	must(t, err)
	if len(again.All()) != 2 {
		t.Fatalf("%+v", again.All())
	}
}

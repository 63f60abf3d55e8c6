package drivers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/drivers"
)

type timedConfig struct {
	Timeout string `hcl:"timeout,optional" doc:"How long."`
}

// panics returns what f panicked with, "" if it did not.
func panics(f func()) (said string) {
	defer func() {
		if r := recover(); r != nil {
			said = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

func TestAnArgumentOfEveryTaskCannotBeOneOfAKindOfTask(t *testing.T) {
	open := func(drivers.Opening, *timedConfig) (drivers.Driver, error) { return nil, nil }
	if said := panics(func() { drivers.DefineKind(&drivers.Registry{}, "timed", "Has a time.", open) }); said != "" {
		t.Errorf("a resource may have a timeout: %s", said)
	}
	if said := panics(func() { drivers.DefineTask(&drivers.Registry{}, "timed", "Has a time.", open) }); !strings.Contains(said, `argument "timeout", which belongs to the language`) {
		t.Errorf("a task may not: %q", said)
	}
}

func TestTextIsPlainWhereThereAreNoSecrets(t *testing.T) {
	if text, err := (drivers.Opening{}).Plain("a"); text != "a" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

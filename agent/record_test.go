package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/drivers"
)

func TestWhatAServerSaysIsKeptOnlyInPart(t *testing.T) {
	a := &Agent{o: Options{Scrubber: NewScrubber()}}
	long := strings.Repeat("é", 1<<20)
	for _, text := range []string{a.observed(drivers.Status{State: drivers.Down, Detail: long}).Detail, a.scrubError(errors.New(long)).Error()} {
		if len(text) > maxDetail+len("…") || !strings.HasSuffix(text, "é…") {
			t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-6:])
		}
	}
	short := errors.New("short")
	if a.scrubError(short) != short {
		t.Error("an error that says little is another one")
	}
}

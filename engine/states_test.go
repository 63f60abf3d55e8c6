package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// manualSeeds is how many worlds the manual's diagram is drawn from.
const manualSeeds = 120

const statesFile = "../docs/states.md"

// meaning says of each state what it is.
var meaning = []struct {
	state State
	words string
}{
	{Unknown, "it was not asked yet, or an operator cleared what was known"},
	{Down, "off"},
	{Starting, "its start runs, or its checks have not all risen"},
	{Up, "on"},
	{Failed, "it did not start, or was lost; it is started again, or given up"},
	{Stopping, "its stop runs"},
	{Stuck, "its stop failed: nobody else may start it until it is known to be off"},
}

// reasons says of each transition what brings it. A world that shows one without a
// reason fails: either the engine is wrong or this table.
var reasons = map[move]string{
	{Unknown, Down}:      "a probe or a watch finds it off",
	{Unknown, Up}:        "a probe or a watch finds it on: it is adopted",
	{Unknown, Failed}:    "a probe or a watch finds something broken, or a part of it",
	{Down, Starting}:     "it is wanted and permitted, and all that it is after is up",
	{Down, Up}:           "found on, though not started from here",
	{Down, Failed}:       "found broken, or in part, while it should be off",
	{Starting, Up}:       "the start succeeded, and every awaited check has risen",
	{Starting, Failed}:   "the start failed, was cancelled, was not ready in time, or it was lost meanwhile",
	{Starting, Stopping}: "not wanted any more while its checks were awaited",
	{Up, Stopping}:       "not wanted any more, to be restarted, or what it stands on is lost or to be stopped; what stands on it is off",
	{Up, Failed}:         "a probe or a watch finds it lost, or a check fell",
	{Failed, Starting}:   "nothing is left of it, and its back-off is over",
	{Failed, Stopping}:   "something may be left of it, which is stopped before the next start or for good",
	{Failed, Down}:       "nothing is left of it, and it is not wanted any more",
	{Failed, Up}:         "found on again by itself",
	{Stopping, Down}:     "the stop succeeded",
	{Stopping, Stuck}:    "the stop failed",
	{Stuck, Stopping}:    "what held it was killed, so it is stopped again",
	{Stuck, Down}:        "a probe or a watch finds it off",
	{Stuck, Up}:          "found on, and wanted again",
	{Stuck, Unknown}:     "an operator cleared it or asked to stop it again: it is probed",
}

// checkManual holds docs/states.md to what the worlds have shown.
func checkManual(t *testing.T) {
	moves := slices.SortedFunc(maps.Keys(seenMoves), func(a, b move) int {
		return cmp.Or(rank(a.from)-rank(b.from), rank(a.to)-rank(b.to))
	})
	for _, m := range moves {
		if reasons[m] == "" {
			t.Errorf("%s -> %s was seen, and no reason is known for it", m.from, m.to)
		}
	}
	if len(seenMoves) < len(reasons) {
		for m := range reasons {
			if seenMoves[m] == 0 {
				t.Errorf("%s -> %s is explained, and was seen in no world", m.from, m.to)
			}
		}
	}
	if t.Failed() {
		return
	}
	page := manualPage(moves)
	if *update {
		if err := os.WriteFile(statesFile, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(statesFile)
	if err != nil || !bytes.Equal(old, page) {
		t.Errorf("docs/states.md is stale (%v): go test ./engine -run Worlds -update", err)
	}
}

func rank(s State) int {
	for i, m := range meaning {
		if m.state == s {
			return i
		}
	}
	return len(meaning)
}

func manualPage(moves []move) []byte {
	var b strings.Builder
	fmt.Fprint(&b, `# The states of a resource

The only states that svcctl keeps; those of instances and services follow from them.
This page is written by a test from every transition that random worlds have shown
(`+"`go test ./engine -run Worlds -update`"+`), and is checked against them.

| state | meaning |
|---|---|
`)
	for _, m := range meaning {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.state, m.words)
	}
	fmt.Fprint(&b, "\n```mermaid\nstateDiagram-v2\n    [*] --> unknown\n")
	for _, m := range moves {
		fmt.Fprintf(&b, "    %s --> %s\n", m.from, m.to)
	}
	fmt.Fprint(&b, "```\n\n| from | to | when |\n|---|---|---|\n")
	for _, m := range moves {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", m.from, m.to, reasons[m])
	}
	return []byte(b.String())
}

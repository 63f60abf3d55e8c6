package main

import (
	"fmt"
	"strings"
)

const diffContext = 3 // lines around what differs

// unifiedDiff shows the lines that differ, as diff -u does. The layout never moves a
// line, it changes blanks inside them: so lines of one number belong together.
func unifiedDiff(name string, before, after []byte) string {
	old, tidy := linesOf(before), linesOf(after)
	if len(old) != len(tidy) {
		panic(fmt.Sprintf("internal error: the layout of %s has %d lines instead of %d", name, len(tidy), len(old)))
	}
	if strings.ContainsAny(name, " \t") {
		name += "\t" // ends a name with blanks in it
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	for at := 0; at < len(old); {
		if old[at] == tidy[at] {
			at++
			continue
		}
		from, to, same := max(0, at-diffContext), at, 0
		for ; to < len(old) && same <= 2*diffContext; to++ {
			if same++; old[to] != tidy[to] {
				same = 0
			}
		}
		to -= max(0, same-diffContext)
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", hunkRange(from, to), hunkRange(from, to))
		writeHunk(&b, old[from:to], tidy[from:to])
		at = to
	}
	return b.String()
}

func linesOf(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func hunkRange(from, to int) string {
	if to-from == 1 {
		return fmt.Sprint(to)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func writeHunk(b *strings.Builder, old, tidy []string) {
	line := func(sign, text string) {
		b.WriteString(sign + text)
		if !strings.HasSuffix(text, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
	for i := 0; i < len(old); {
		if old[i] == tidy[i] {
			line(" ", old[i])
			i++
			continue
		}
		end := i
		for end < len(old) && old[end] != tidy[end] {
			end++
		}
		for _, l := range old[i:end] {
			line("-", l)
		}
		for _, l := range tidy[i:end] {
			line("+", l)
		}
		i = end
	}
}

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// samples are measurements of one thing, in one unit.
type samples []float64

func (s samples) sorted() samples {
	c := slices.Clone(s)
	slices.Sort(c)
	return c
}

// at returns the value below which the share q of the samples lies.
func (s samples) at(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	c := s.sorted()
	return c[min(len(c)-1, int(q*float64(len(c))))]
}

func (s samples) median() float64 { return s.at(0.5) }

func (s samples) String() string {
	switch len(s) {
	case 0:
		return "–"
	case 1:
		return short(s[0])
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.median()), short(s.at(0)), short(s.at(1)))
}

func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// row is one measured thing: ours beside the peers', with what was promised.
type row struct {
	section string
	what    string
	unit    string
	target  string             // in words; "" none
	met     *bool              // nil where there is no target
	values  map[string]samples // by program
	note    string
	columns []string // the programs of a table of its own; nil: the supervisors
}

func (r *row) programs() []string {
	if r.columns != nil {
		return r.columns
	}
	return programs
}

const us = "svcctl"

var programs = []string{us, "runit", "s6", "supervisor"}

// below marks a row as met where our median is at most limit.
func (r *row) below(limit float64) {
	ok := r.values[us].median() <= limit
	r.met = &ok
}

// report prints rows as they come and keeps them for the document.
type report struct {
	rows []*row
	quit []string // what could not be measured
}

func (r *report) add(rows ...*row) {
	for _, w := range rows {
		r.rows = append(r.rows, w)
		fmt.Printf("%-12s %-52s %-8s", w.section, w.what, w.unit)
		for _, p := range w.programs() {
			if s, ok := w.values[p]; ok {
				fmt.Printf("  %s %s%s", p, s, w.ratio(p))
			}
		}
		if w.target != "" {
			fmt.Printf("  target %s: %s", w.target, w.verdict())
		}
		fmt.Println()
	}
}

func (r *report) missing(section string, err error) {
	line := section + ": " + err.Error()
	r.quit = append(r.quit, line)
	fmt.Println("not measured: " + line)
}

// ratio is a peer's median as a multiple of ours.
func (w *row) ratio(program string) string {
	ours, ok := w.values[us]
	if program == us || !ok || ours.median() == 0 {
		return ""
	}
	return fmt.Sprintf(" [×%s]", short(w.values[program].median()/ours.median()))
}

func (w *row) verdict() string {
	switch {
	case w.met == nil:
		return ""
	case *w.met:
		return "met"
	default:
		return "NOT MET"
	}
}

// markdown is a table of the document: that of the linters, or that of the supervisors.
// It is "" where nothing of it was measured.
func (r *report) markdown(lint bool) string {
	var b strings.Builder
	var rows []*row
	for _, w := range r.rows {
		if (w.section == "lint") == lint {
			rows = append(rows, w)
		}
	}
	if len(rows) == 0 {
		return ""
	}
	columns := rows[0].programs()
	b.WriteString("| | unit | " + strings.Join(columns, " | ") + " | target | |\n|---|---|")
	b.WriteString(strings.Repeat("---|", len(columns)+2) + "\n")
	for _, w := range rows {
		fmt.Fprintf(&b, "| %s: %s | %s |", w.section, w.what, w.unit)
		for _, p := range columns {
			cell := "–"
			if s, ok := w.values[p]; ok {
				cell = s.String() + w.ratio(p)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		fmt.Fprintf(&b, " %s | %s |\n", w.target, w.verdict())
	}
	for _, w := range rows {
		if w.note != "" {
			fmt.Fprintf(&b, "\n- %s, %s: %s", w.section, w.what, w.note)
		}
	}
	for _, q := range r.quit {
		if strings.HasPrefix(q, "lint") == lint {
			fmt.Fprintf(&b, "\n- Not measured: %s", q)
		}
	}
	return b.String() + "\n"
}

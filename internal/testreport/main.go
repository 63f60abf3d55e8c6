// Package testreport reads the record of a test run, prints what failed and holds every skip against the list of known ones.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// record is one line of go test -json.
type record struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type run struct {
	passed, failed, skipped int
	output                  map[string][]string // by package and test
	bad                     []string            // failures, as they are to be printed
	skips                   map[string]string   // test → reason
	seconds                 map[string]float64  // by package
}

func main() {
	known := flag.String("known", "docs/not-run-here.md", "the list of tests that may be skipped, with reasons")
	flag.Parse()
	r, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the record of the tests:", err)
		os.Exit(2)
	}
	list, err := os.ReadFile(*known)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the list of known skips:", err)
		os.Exit(2)
	}
	if !r.report(os.Stdout, listFor(os.Geteuid(), string(list))) {
		os.Exit(1)
	}
}

// listFor leaves out, for root, what may be skipped for want of root alone: behind
// such a test stands the same test as root, which must not be skipped for another reason.
func listFor(uid int, list string) string {
	if uid != 0 {
		return list
	}
	always, _, _ := strings.Cut(list, "## Without root")
	return always
}

func read(in io.Reader) (*run, error) {
	r := &run{output: map[string][]string{}, skips: map[string]string{}, seconds: map[string]float64{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var rec record
		if json.Unmarshal(lines.Bytes(), &rec) != nil {
			r.output[" build"] = append(r.output[" build"], lines.Text()+"\n") // go vet and the linker don't speak JSON
			continue
		}
		r.take(rec)
	}
	return r, lines.Err()
}

func (r *run) take(rec record) {
	key := rec.Package + " " + rec.Test
	switch rec.Action {
	case "output", "build-output":
		r.output[key] = append(r.output[key], rec.Output)
	case "pass":
		if rec.Test == "" {
			r.seconds[rec.Package] = rec.Elapsed
		} else {
			r.passed++
		}
		delete(r.output, key)
	case "skip":
		if rec.Test != "" {
			r.skipped++
			r.skips[rec.Test] = strings.TrimSpace(strings.Join(r.output[key], " "))
		}
		delete(r.output, key)
	case "fail", "build-fail":
		if rec.Test != "" {
			r.failed++
		} else if !slices.ContainsFunc(r.bad, func(b string) bool { return strings.Contains(b, rec.Package) }) {
			r.failed++ // a package that did not build, or broke outside of its tests
		}
		r.bad = append(r.bad, "FAIL "+key+"\n"+strings.Join(r.output[key], ""))
	}
}

// report prints the result; false means that the run is not good.
func (r *run) report(out io.Writer, known string) bool {
	for _, p := range slices.Sorted(maps.Keys(r.seconds)) {
		fmt.Fprintf(out, "ok  %7.1fs  %s\n", r.seconds[p], p)
	}
	for _, b := range r.bad {
		fmt.Fprintln(out, b)
	}
	if r.failed > 0 {
		fmt.Fprint(out, strings.Join(r.output[" build"], ""))
	}
	good := r.failed == 0 && r.passed > 0
	for _, test := range slices.Sorted(maps.Keys(r.skips)) {
		top, _, _ := strings.Cut(test, "/")
		if strings.Contains(known, "`"+top+"`") || strings.Contains(known, "`"+test+"`") {
			fmt.Fprintf(out, "skipped, as listed: %s\n", test)
			continue
		}
		fmt.Fprintf(out, "FAIL %s was skipped, which docs/not-run-here.md does not list: %s\n", test, r.skips[test])
		r.failed++
		r.skipped--
		good = false
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return good
}

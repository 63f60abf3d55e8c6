package main

import (
	"strings"
	"testing"
)

const record1 = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"needs root\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`

func TestASkipThatNobodyListedIsAFailure(t *testing.T) {
	for _, c := range []struct {
		known string
		good  bool
		last  string
	}{
		{"| `TestB` | needs root |", true, "1 passed, 0 failed, 1 skipped\n"},
		{"| `TestC` | needs root |", false, "1 passed, 1 failed, 0 skipped\n"},
	} {
		r, err := read(strings.NewReader(record1))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if good := r.report(&out, c.known); good != c.good || !strings.HasSuffix(out.String(), c.last) {
			t.Errorf("known %q: good %v\n%s", c.known, good, out.String())
		}
	}
}

func TestAFailureIsPrintedWithItsOutput(t *testing.T) {
	r, err := read(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if r.report(&out, "") || !strings.Contains(out.String(), "want 1, got 2") || !strings.HasSuffix(out.String(), "0 passed, 1 failed, 0 skipped\n") {
		t.Errorf("reported:\n%s", out.String())
	}
}

func TestAPackageThatDoesNotBuildIsAFailure(t *testing.T) {
	r, err := read(strings.NewReader(`{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if r.report(&out, "") || !strings.HasSuffix(out.String(), "0 passed, 1 failed, 0 skipped\n") {
		t.Errorf("reported:\n%s", out.String())
	}
}

func TestNoTestAtAllIsNotGood(t *testing.T) {
	r, err := read(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if r.report(&strings.Builder{}, "") {
		t.Error("an empty run is good")
	}
}

func TestWhatNeedsRootIsNoExcuseForRoot(t *testing.T) {
	list := "`TestAlways`\n## Without root\n`TestMount`\n"
	if got := listFor(0, list); strings.Contains(got, "TestMount") || !strings.Contains(got, "TestAlways") {
		t.Errorf("root may skip %q", got)
	}
	if got := listFor(1000, list); got != list {
		t.Errorf("another user may skip %q", got)
	}
}

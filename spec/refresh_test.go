package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// manyMistakes is a set of each file of testdata/errors, in folders so that their names
// meet, beside files without mistakes that read what others define.
func manyMistakes(t *testing.T) fstest.MapFS {
	t.Helper()
	files, err := filepath.Glob("testdata/errors/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	m := set("common.hcl", "locals {\n  shared = \"nobody\"\n  text = file(\"text\")\n}\n", "text", "hello")
	for i, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(m, fmt.Sprintf("f%d/%s", i%3, filepath.Base(name)), string(src))
	}
	for i := range 60 {
		write(m, fmt.Sprintf("good%02d.hcl", i), fmt.Sprintf(`locals {
  vip%02d = "10.1.0.%d/24"
}
service "good%02d" {
  ip "vip" {
    address   = local.vip%02d
    interface = "eth0"
  }
  app "main" {
    command = ["/usr/bin/server", hostport(ip.vip.host, 8080)]
    user    = local.shared
    env     = { TEXT = "${file("text")}${secret("pin")}" }
  }
  task "backup" {
    schedule = "0 3 * * *"
    command  = ["/usr/bin/backup", service.name]
  }
}
`, i, i+1, i, i))
	}
	return m
}

// loadedOn loads a set with so many processors.
func loadedOn(t *testing.T, processors int, m fstest.MapFS, l *Loader) (*Spec, Findings) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	return l.Load(m)
}

func TestAnyNumberOfProcessorsFindsTheSame(t *testing.T) {
	m := manyMistakes(t)
	_, want := loadedOn(t, 1, m, NewLoader(testOptions))
	if len(want) < 60 {
		t.Fatalf("only %d findings", len(want))
	}
	for range 5 {
		l := NewLoader(testOptions)
		for _, kind := range []string{"a first", "a second"} {
			if _, got := loadedOn(t, 8, m, l); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s load on eight processors finds\n%son one\n%s", kind, printed(got), printed(want))
			}
		}
	}
}

func TestAnyNumberOfProcessorsReadsTheSameSet(t *testing.T) {
	m := manyMistakes(t)
	for name := range m {
		if strings.HasPrefix(name, "f") {
			delete(m, name)
		}
	}
	want, findings := loadedOn(t, 1, m, NewLoader(testOptions))
	if want == nil {
		t.Fatal(printed(findings))
	}
	got, _ := loadedOn(t, 8, m, NewLoader(testOptions))
	if got.Digest != want.Digest || !reflect.DeepEqual(got.Names, want.Names) {
		t.Fatalf("set %s %v, on one processor %s %v", got.Digest, got.Names, want.Digest, want.Names)
	}
	for _, n := range want.Names {
		if got.Services[n].Digest != want.Services[n].Digest || got.Services[n].Range != want.Services[n].Range {
			t.Errorf("service %s is %s, on one processor %s", n, got.Services[n].Digest, want.Services[n].Digest)
		}
	}
}

// The trees of only so many files that define something are kept until their turn.
func TestManyFilesThatDefineSomethingAreReadTwiceAndRight(t *testing.T) {
	m := set("root.hcl", "service \"s\" {}\n")
	for i := range keptTrees + 20 {
		write(m, fmt.Sprintf("d%03d.hcl", i), fmt.Sprintf(
			"locals {\n  v%03d = \"%d\"\n}\nservice \"s%03d\" {\n  description = local.v%03d\n  rto = 5\n}\n", i, i, i, (i+1)%(keptTrees+20)))
	}
	_, findings := NewLoader(testOptions).Load(m)
	if len(findings) != keptTrees+20 {
		t.Fatalf("%d findings\n%s", len(findings), printed(findings))
	}
	for name := range m {
		write(m, name, strings.Replace(string(m[name].Data), "  rto = 5\n", "", 1))
	}
	s := mustLoad(t, NewLoader(testOptions), m)
	if got := s.Services["s119"].Description; got != "0" {
		t.Errorf("description %q, want that of the first file", got)
	}
}

// linked is a set of n files whose services require each other and read what one file
// defines, with mounts and addresses of their own.
func linked(n int) fstest.MapFS {
	m := set("common.hcl", "locals {\n  base = \"/srv\"\n}\n")
	for i := range n {
		requires := ""
		if i%10 > 0 {
			requires = fmt.Sprintf("  requires = [\"s%05d\"]\n", i-1)
		}
		write(m, fmt.Sprintf("s%05d.hcl", i), fmt.Sprintf(`service "s%05d" {
%s  mount "data" {
    device = "/dev/vg0/s%05d"
    path   = "${local.base}/s%05d"
  }
  ip "vip" {
    address   = "10.0.%d.%d/24"
    interface = "eth0"
  }
  app "main" {
    command = ["/usr/bin/server", "--data", mount.data.path, "--listen", hostport(ip.vip.host, 8080)]
  }
}
`, i, requires, i, i, i/250, i%250+1))
	}
	return m
}

func TestTwiceAsManyFilesTakeTwiceAsMuch(t *testing.T) {
	took := func(m fstest.MapFS) (objects, bytes float64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		mustLoad(t, NewLoader(testOptions), m)
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs - before.Mallocs), float64(after.TotalAlloc - before.TotalAlloc)
	}
	some, many := linked(400), linked(1600)
	took(some) // what is made once in a process
	fewObjects, fewBytes := took(some)
	objects, bytes := took(many)
	if objects > 4.4*fewObjects || bytes > 4.4*fewBytes {
		t.Errorf("four times the files make %.2f times the objects and %.2f times the garbage", objects/fewObjects, bytes/fewBytes)
	}
}

// Nothing of a file but what its services are is kept between loads.
func TestALoaderKeepsNeitherSourcesNorTrees(t *testing.T) {
	l := NewLoader(testOptions)
	for _, m := range []fstest.MapFS{linked(20), manyMistakes(t)} {
		l.Load(m)
		for name, f := range l.files {
			if f.source != nil || f.body != nil {
				t.Errorf("%s: its source or tree is kept", name)
			}
			for _, d := range f.definitions {
				if d.expr != nil {
					t.Errorf("%s: the expression of %s is kept", name, d.name)
				}
			}
		}
	}
}

func TestWhatIsComputedIsBoundedByTheSizeOfTheSet(t *testing.T) {
	const n = 425
	same := "locals {\n  same = [for i in range(100) : \"x\"]\n}\n" // what is counted as comparing each with each, and is none
	files := []string{"same.hcl", same}
	for i := range n {
		files = append(files, fmt.Sprintf("s%d.hcl", i), fmt.Sprintf("service \"s%d\" {\n  app \"m\" {\n    command = concat([\"x\"], distinct(local.same)) # of this service alone, and of no other\n  }\n}\n", i))
	}
	many := NewLoader(testOptions)
	if s, findings := many.Load(set(files...)); s == nil || many.budget.work.Load() < maxWork {
		t.Errorf("work of %d, a little in each of many files:\n%s", many.budget.work.Load(), printed(findings))
	}
	one := fmt.Sprintf("service \"s\" {\n  app \"m\" {\n    command = [for i in range(%d) : join(\"\", distinct(local.same))]\n  }\n}\n", n)
	if s, findings := NewLoader(testOptions).Load(set("same.hcl", same, "a.hcl", one)); s != nil || findings[0].Code != codeTooMany {
		t.Errorf("as much in one:\n%s", printed(findings))
	}
}

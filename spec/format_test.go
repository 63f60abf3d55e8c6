package spec

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// tokensOf are the tokens of a file, comments and line ends among them.
func tokensOf(src []byte) []string {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	out := make([]string, 0, len(tokens))
	for _, t := range tokens {
		out = append(out, fmt.Sprintf("%c %s", t.Type, t.Bytes))
	}
	return out
}

// told is what loading a file says, but for the places: they move.
func told(src []byte) string {
	s, findings := NewLoader(testOptions).Load(set("a.hcl", string(src)))
	var out []string
	for _, f := range findings {
		if f.Code == codeSwallowed {
			continue // it is known by the line's indentation, which formatting changes
		}
		out = append(out, f.Code+" "+f.Summary)
	}
	slices.Sort(out)
	if s != nil {
		for _, n := range s.Names {
			out = append(out, n+" "+string(s.Services[n].Digest))
		}
	}
	return strings.Join(out, "\n")
}

// sameButForBlanks fails where formatting does anything but move what stands in a line.
func sameButForBlanks(t *testing.T, src []byte) {
	t.Helper()
	once, err := Format(src)
	if err != nil {
		if !bytes.Equal(once, src) {
			t.Fatalf("what can't be formatted is changed:\n%q\n%q", src, once)
		}
		return
	}
	if twice, again := Format(once); again != nil || !bytes.Equal(twice, once) {
		t.Fatalf("%v\nonce\n%q\ntwice\n%q", again, once, twice)
	}
	if was, is := tokensOf(src), tokensOf(once); !slices.Equal(was, is) {
		t.Fatalf("other tokens:\n%q\n%q", src, once)
	}
	if bytes.Count(src, []byte("\n")) != bytes.Count(once, []byte("\n")) {
		t.Fatalf("other lines:\n%.2000q\n%.2000q", src, once)
	}
	if was, is := told(src), told(once); was != is {
		t.Fatalf("another meaning:\n%.2000s\n%.2000s\n%.2000q\n%.2000q", was, is, src, once)
	}
}

// FuzzFormat: formatting what was formatted changes nothing, and formatting anything
// keeps every token, every comment and the meaning.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 {
			return
		}
		sameButForBlanks(t, src)
	})
}

// everyHCL are all files of the repository in the language, with those that are mistaken.
func everyHCL(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".hcl" {
			return err
		}
		src, err := os.ReadFile(p)
		out[p] = src
		return err
	})
	if err != nil || len(out) < 20 {
		t.Fatalf("%d files, %v", len(out), err)
	}
	return out
}

func TestFormattingMovesBlanksAndNothingElse(t *testing.T) {
	for name, src := range everyHCL(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameButForBlanks(t, src)
			crlf := bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n"))
			sameButForBlanks(t, crlf)
			sameButForBlanks(t, bytes.ReplaceAll(src, []byte(" "), []byte("\t ")))
			sameButForBlanks(t, bytes.ReplaceAll(src, []byte(" = "), []byte("=")))
			sameButForBlanks(t, bytes.ReplaceAll(src, []byte("\n"), []byte(" # a\n")))
		})
	}
}

func TestALongLineAmongManyIsNotPaddedToGigabytes(t *testing.T) {
	long := "x = \"" + strings.Repeat("a", 20_000) + "\" # long\n"
	for name, src := range map[string]string{
		"comments":   "locals {\n" + long + strings.Repeat("a = 1 # b\n", 2_000) + "}\n",
		"values":     "locals {\nm = {\n(" + strings.Repeat("1,", 10_000) + ") = 1\n" + strings.Repeat("a=1\n", 2_000) + "}\n}\n",
		"in between": "locals {\n" + strings.Repeat("a = 1 # b\n", 1_000) + "/*" + strings.Repeat("\n", 20_000) + "*/ z = 1 # x\n" + strings.Repeat("a = 1 # b\n", 1_000) + "}\n",
	} {
		if at, is := swells([]byte(src)); !is || at == 0 {
			t.Errorf("%s: line %d, %v", name, at, is)
		}
		if tidy, err := Format([]byte(src)); err == nil || string(tidy) != src {
			t.Errorf("%s: %d bytes, %v", name, len(tidy), err)
		}
	}
	for name, src := range map[string]string{
		"alone":      "locals {\n" + long + "\n" + strings.Repeat("a = 1 # b\n\n", 2_000) + "}\n",
		"a list":     "locals {\nl = [\n\"" + strings.Repeat("a", 20_000) + "\",\n" + strings.Repeat("\"abc\",\n", 2_000) + "]\n}\n",
		"long words": "locals {\n" + strings.Repeat("key = \""+strings.Repeat("a", 200)+"\" # b\n", 1_000) + "}\n",
	} {
		if at, is := swells([]byte(src)); is {
			t.Errorf("%s: refused for line %d", name, at)
		}
	}
}

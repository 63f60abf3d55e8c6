package lsp

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/svcctl/svcctl/spec"
)

// format lays a file out, changing the lines that are not as they should be.
func (s *server) format(d *document) (any, error) {
	if p, ok := pathOf(d.uri); ok && filepath.Ext(p) != ".hcl" {
		return nil, fmt.Errorf("cannot format %s: its name does not end in .hcl", d.uri)
	}
	tidy, err := spec.Format(d.text.src)
	if err != nil {
		return nil, fmt.Errorf("cannot format the file: %w", err)
	}
	return lineEdits(d.text, tidy, s.encoding), nil
}

// lineEdits replaces each run of lines that differ. The layout changes blanks inside
// lines; where it adds or takes lines, all between the first and the last that differ
// are one run.
func lineEdits(t *text, tidy []byte, e encoding) []textEdit {
	old, now := bytes.SplitAfter(t.src, []byte("\n")), bytes.SplitAfter(tidy, []byte("\n"))
	edits := []textEdit{}
	if len(old) != len(now) {
		from, to, toNow := 0, len(old), len(now)
		for from < min(to, toNow) && bytes.Equal(old[from], now[from]) {
			from++
		}
		for to > from && toNow > from && bytes.Equal(old[to-1], now[toNow-1]) {
			to, toNow = to-1, toNow-1
		}
		at := len(bytes.Join(old[:from], nil))
		end := at + len(bytes.Join(old[from:to], nil))
		return append(edits, textEdit{t.rangeOf(span{at, end}, e), string(bytes.Join(now[from:toNow], nil))})
	}
	at := 0
	for i := 0; i < len(old); {
		if bytes.Equal(old[i], now[i]) {
			at += len(old[i])
			i++
			continue
		}
		from, begin := i, at
		for i < len(old) && !bytes.Equal(old[i], now[i]) {
			at += len(old[i])
			i++
		}
		edits = append(edits, textEdit{t.rangeOf(span{begin, at}, e), string(bytes.Join(now[from:i], nil))})
	}
	return edits
}

var meant = regexp.MustCompile(`^Did you mean ("(?:[^"\\]|\\.)*")\?( Text is written in quotes\.| A name without namespace means the service's own\.| There is: .*\.)?$`)

// actions are what would mend the findings of some lines.
func (s *server) actions(r *jsonrpc2.Request) (any, error) {
	var p actionParams
	if err := unmarshal(r, &p); err != nil {
		return nil, err
	}
	d := s.documents[p.Document.URI]
	if d == nil {
		return nil, refuse(jsonrpc2.CodeInvalidParams, "the file %.200q is not open", p.Document.URI)
	}
	out := []codeAction{}
	if d.set == nil {
		return out, nil
	}
	v := s.settled(d)
	if d.set == nil || v.serials[d.path] != d.serial {
		return out, nil // what is known is about another version of the file
	}
	asked := d.text.span(p.Range, s.encoding)
	c := &conversion{encoding: s.encoding, set: d.set, view: v, open: s.openIn(d.set), texts: map[string]*text{}}
	for _, f := range v.findings[d.path] {
		at := span{f.Range.Start.Byte, f.Range.End.Byte}
		if f.Range.Start.Line == 0 || at.to < asked.from || asked.to < at.from {
			continue
		}
		add := func(title string, preferred bool, e textEdit) {
			out = append(out, codeAction{
				Title: title, Kind: "quickfix", Preferred: preferred, Diagnostics: []diagnostic{c.diagnostic(d.path, f)},
				Edit: &workspaceEdit{map[string][]textEdit{d.uri: {e}}},
			})
		}
		if word := replacement(f, d.text.at(at)); word != "" {
			add("Replace it by "+word, true, textEdit{d.text.rangeOf(at, s.encoding), word})
		}
		if e, ok := silence(d, f, s.encoding); ok {
			add("Silence "+f.Code+" on this line", false, e)
		}
	}
	return out, nil
}

// replacement is what to write in place of a finding's token, "" where that is not clear.
func replacement(f spec.Finding, token string) string {
	m := meant.FindStringSubmatch(f.Detail)
	if m == nil || token == "" || strings.ContainsAny(token, "\n ") {
		return ""
	}
	word, err := strconv.Unquote(m[1])
	if err != nil || word == "" {
		return ""
	}
	if strings.HasPrefix(token, `"`) {
		return m[1]
	}
	return word
}

// silence is the comment that silences a finding, to be completed with the reason. It
// needs a line that ends outside of text and without a comment.
func silence(d *document, f spec.Finding, e encoding) (textEdit, bool) {
	i := slices.IndexFunc(spec.Codes(), func(c spec.Code) bool { return c.Code == f.Code && c.Silent() })
	line := f.Range.Start.Line - 1
	if i < 0 || line >= len(d.text.lines) {
		return textEdit{}, false
	}
	end := d.text.lineEnd(line)
	t := d.grown()
	next := t.before(end) + 1
	if k := t.kind(next); k != hclsyntax.TokenNewline && k != hclsyntax.TokenEOF || next < len(t.tokens) && t.from(next) != end {
		return textEdit{}, false
	}
	return textEdit{d.text.rangeOf(span{end, end}, e), " # svcctl:ignore " + f.Code + " "}, true
}

package spec

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const ignoreWord = "svcctl:ignore"

// ignore is a comment that silences findings of some codes on one line.
type ignore struct {
	at    hcl.Range // of the comment
	line  int
	codes []string
	wrong []Finding // with the comment itself
}

// anyLine is the line of a comment in a file of which not all can be read: it may be that
// of what is found.
const anyLine = -1

func (i *ignore) silences(f Finding) bool {
	return (i.line == anyLine || i.line > 0 && i.line == f.Range.Start.Line) && slices.Contains(i.codes, f.Code)
}

// ignoresInTorn reads what looks like comments of a file in which text may be taken for
// comments, and comments for text.
func ignoresInTorn(name string, src []byte) []ignore {
	all := ignore{line: anyLine}
	for line := range bytes.Lines(src) {
		at := bytes.Index(line, []byte(ignoreWord))
		if at < 0 {
			continue
		}
		if at = bytes.LastIndexAny(line[:at], "#/"); at < 0 {
			continue
		}
		if at > 0 && line[at] == '/' {
			at--
		}
		if i, is := readIgnore(hclsyntax.Token{Bytes: line[at:], Range: hcl.Range{Filename: name}}); is {
			for _, code := range i.codes {
				if !slices.Contains(all.codes, code) {
					all.codes = append(all.codes, code)
				}
			}
		}
	}
	if all.codes == nil {
		return nil
	}
	return []ignore{all}
}

// ignoresIn reads the comments of a file. One that stands alone on its line means the
// next line that holds something else.
func ignoresIn(name string, src []byte) (out []ignore) {
	if !bytes.Contains(src, []byte(ignoreWord)) {
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	behind, waiting := 0, 0 // the line on which the last token ended; the first comment of out that means a line to come
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenEOF:
		case hclsyntax.TokenComment:
			i, is := readIgnore(t)
			if !is {
				continue
			}
			if behind == i.at.Start.Line { // those before it are known by now
				i.line, waiting = behind, len(out)+1
			}
			out = append(out, i)
		default:
			for ; waiting < len(out); waiting++ {
				out[waiting].line = t.Range.Start.Line
			}
			behind = t.Range.End.Line
		}
	}
	return out
}

func readIgnore(t hclsyntax.Token) (i ignore, is bool) {
	text := strings.TrimRight(string(t.Bytes), "\r\n")
	rest, is := strings.CutPrefix(text, "#")
	if !is {
		rest, is = strings.CutPrefix(text, "//")
	}
	if !is {
		return i, false
	}
	rest, is = strings.CutPrefix(strings.TrimLeft(rest, " \t"), ignoreWord)
	if !is || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return i, false
	}
	part := func(from, to int) hcl.Range { // the comment has one line
		at := func(n int) hcl.Pos {
			return hcl.Pos{Line: t.Range.Start.Line, Column: t.Range.Start.Column + utf8.RuneCountInString(text[:n]), Byte: t.Range.Start.Byte + n}
		}
		return hcl.Range{Filename: t.Range.Filename, Start: at(from), End: at(to)}
	}
	i.at = part(0, len(text))
	named := false
	for more := true; more; {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, " \t,")
		if end < 0 {
			end = len(rest)
		}
		word, start := rest[:end], len(text)-len(rest)
		after := strings.TrimLeft(rest[end:], " \t")
		rest, more = strings.CutPrefix(after, ",")
		if word = strings.TrimSuffix(word, ":"); word == "" {
			continue
		}
		named = true
		if c := codeByName[word]; c != nil && c.Silent() {
			i.codes = append(i.codes, word)
		} else {
			i.wrong = append(i.wrong, newFinding(codeIgnoreCode, part(start, start+len(word)), ignoreHint(word), strconv.Quote(word)))
		}
	}
	switch {
	case !named:
		i.wrong = append(i.wrong, newFinding(codeIgnoreCode, i.at, "Write "+ignoreWord+", the code of a finding such as SV0402, and the reason.", "findings without their code"))
	case rest == "" && len(i.wrong) == 0:
		i.wrong = append(i.wrong, newFinding(codeIgnoreReason, i.at, "Write behind the code why what it finds is meant, or does no harm."))
	}
	return i, true
}

func ignoreHint(word string) string {
	if codeByName[word] != nil {
		return "It keeps the set from being read: mend what it finds."
	}
	near, least := "", 2 // all codes are near to each other
	for i := range codes {
		if d := levenshtein.Distance(strings.ToUpper(word), codes[i].Code, nil); d < least && codes[i].Silent() {
			near, least = codes[i].Code, d
		}
	}
	if near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return "Write the code of a finding, such as SV0402, and then the reason."
}

// silenced says whether a comment keeps a finding from being told.
func (r *run) silenced(f Finding) bool {
	in := r.files[f.File]
	return in != nil && slices.ContainsFunc(in.ignores, func(i ignore) bool { return i.silences(f) })
}

// silence leaves out what comments silence, and adds what is wrong with them.
func (r *run) silence(all []Finding) []Finding {
	if !slices.ContainsFunc(r.paths, func(p string) bool { return len(r.files[p].ignores) > 0 }) {
		return all
	}
	used := map[*ignore]map[string]bool{}
	keep := func(f Finding) bool {
		in := r.files[f.File]
		if in == nil {
			return true
		}
		kept := true
		for n := range in.ignores {
			if i := &in.ignores[n]; i.silences(f) {
				kept = false
				if used[i] == nil {
					used[i] = map[string]bool{}
				}
				used[i][f.Code] = true
			}
		}
		return kept
	}
	var out []Finding
	add := func(more ...Finding) {
		for _, f := range more {
			if keep(f) {
				out = append(out, f)
			}
		}
	}
	add(all...)
	whole := !Findings(out).HasErrors()
	varies := slices.ContainsFunc(r.paths, func(p string) bool { return r.files[p].varies })
	for _, p := range r.paths {
		f := r.files[p]
		for n := range f.ignores {
			i := &f.ignores[n]
			if !f.broken {
				add(i.wrong...)
			}
			left := slices.DeleteFunc(slices.Clone(i.codes), func(code string) bool { return used[i][code] || !r.looksFor(code, f.varies, varies) })
			if whole && len(left) > 0 {
				add(newFinding(codeIgnoreUnused, i.at, "Nothing of that is found there: remove it.", strings.Join(left, " or ")))
			}
		}
	}
	return sortFindings(out)
}

// looksFor says whether all that there may be of a code was found: no rule had to leave
// out what differs from node to node, in the file or anywhere, or what it was not asked for.
func (r *run) looksFor(code string, here, anywhere bool) bool {
	nodes := len(r.options.Nodes) > 0
	switch {
	case code == codeNote && !r.options.Notes, code == codeNoSuchNode && !nodes:
		return false
	case code == codeIgnoreReason, code == codeIgnoreCode, code == codeIgnoreUnused: // they are about comments
		return false
	case code == codeUnusedVar, code == codeUnusedLocal:
		return !r.options.Part
	case code == codeAfterOff, code == codeNoPause, code == codeNeverUsedUp, code == codeSwallowed: // one file shows them
	case strings.HasPrefix(code, "SV05"):
		return !r.options.Part && (nodes || !anywhere)
	}
	return nodes || !here
}

// varies says whether expressions read what may differ from node to node.
func varies(all []reading) bool {
	return slices.ContainsFunc(all, func(r reading) bool {
		return slices.ContainsFunc(r.names, func(t hcl.Traversal) bool { return t.RootName() == "node" || t.RootName() == "cluster" })
	})
}

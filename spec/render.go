package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteText writes the findings for people: place, code, summary, the line with the
// token marked, and what to write instead.
func (f Findings) WriteText(w io.Writer, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	var b bytes.Buffer
	for _, x := range f {
		severity := paint("1;31", string(x.Severity))
		if x.Severity == Warning {
			severity = paint("1;33", string(x.Severity))
		}
		if x.Severity == Note {
			severity = paint("1;36", string(x.Severity))
		}
		if at := x.where(); at != "" {
			b.WriteString(paint("1", plainText(at)) + ": ")
		}
		fmt.Fprintf(&b, "%s %s: %s\n", severity, x.Code, plainText(x.statement()))
		if line, mark, ok := x.snippet(); ok {
			number := fmt.Sprintf("%5d", x.Range.Start.Line)
			fmt.Fprintf(&b, "%s | %s\n%s | %s\n", paint("2", number), line, strings.Repeat(" ", len(number)), paint("1;31", mark))
		}
		if x.Detail != "" {
			fmt.Fprintf(&b, "      %s\n", strings.ReplaceAll(plainText(x.Detail), "\n", "\n      "))
		}
	}
	w.Write(b.Bytes())
}

func (f Finding) where() string {
	if f.Range.Start.Line == 0 {
		return oneLine(plainText(f.File))
	}
	return fmt.Sprintf("%s:%d:%d", oneLine(plainText(f.File)), f.Range.Start.Line, f.Range.Start.Column)
}

const (
	maxSnippet = 160  // characters
	maxLine    = 4096 // bytes before and behind where a finding begins
)

// snippet is the line of the finding and the marks below its token.
func (f Finding) snippet() (line, mark string, ok bool) {
	start := f.Range.Start
	if f.hidden { // the line would tell it to the log that this is written to
		return "", "", false
	}
	// The rules look for a secret in what can be read; the line may be one that can't be.
	if f.source == nil || start.Line == 0 || start.Byte > len(f.source) {
		return "", "", false
	}
	// Of a very long line only what is around the token is looked at.
	from := max(bytes.LastIndexByte(f.source[max(0, start.Byte-maxLine):start.Byte], '\n')+1+max(0, start.Byte-maxLine), 0)
	to := min(len(f.source), start.Byte+maxLine)
	if i := bytes.IndexByte(f.source[start.Byte:to], '\n'); i >= 0 {
		to = start.Byte + i
	}
	end := min(max(f.Range.End.Byte, start.Byte), to)
	text := func(b []byte) string {
		return strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return ' '
			}
			return c
		}, strings.TrimPrefix(strings.ToValidUTF8(string(b), "?"), byteOrderMark))
	}
	if lineHoldsSecret(string(f.source[from:to])) {
		return "", "", false
	}
	before, token, rest := text(f.source[from:start.Byte]), text(f.source[start.Byte:end]), text(f.source[end:to])
	if n := utf8.RuneCountInString(before); n > maxSnippet {
		before = "… " + string([]rune(before)[n-maxSnippet/2:])
	}
	if n := utf8.RuneCountInString(token); n > maxSnippet {
		token, rest = string([]rune(token)[:maxSnippet]), " …"
	}
	line = before + token + rest
	if n := utf8.RuneCountInString(line); n > 3*maxSnippet {
		line = string([]rune(line)[:3*maxSnippet]) + " …"
	}
	mark = strings.Repeat(" ", utf8.RuneCountInString(before)) + strings.Repeat("^", max(1, utf8.RuneCountInString(token)))
	return strings.TrimRight(line, " "), mark, true
}

// findingJSON is the JSON form.
type findingJSON struct {
	Code      string   `json:"code"`
	Severity  Severity `json:"severity"`
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Column    int      `json:"column"`
	EndLine   int      `json:"end_line"`
	EndColumn int      `json:"end_column"`
	Summary   string   `json:"summary"`
	Detail    string   `json:"detail"`
	Snippet   string   `json:"snippet"` // "" where there is none, or a secret stands there
	Nodes     []string `json:"nodes"`
}

// WriteJSON writes the findings as an array.
func (f Findings) WriteJSON(w io.Writer) {
	out := make([]findingJSON, 0, len(f))
	for _, x := range f {
		line, _, _ := x.snippet()
		out = append(out, findingJSON{
			x.Code, x.Severity, x.File, x.Range.Start.Line, x.Range.Start.Column,
			x.Range.End.Line, x.Range.End.Column, x.Summary, x.Detail, line, append([]string{}, x.Nodes...),
		})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return // the stream is gone; its owner sees that on closing it
	}
}

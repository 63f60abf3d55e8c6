package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/svcctl/svcctl/spec"
)

const (
	shortestScrubbed = 4    // bytes; a shorter value is in every text
	shortestLine     = 12   // of a value of several lines, to be looked for by itself
	maxScrubbed      = 4096 // values; the oldest are let go first
	maxFormer        = 16   // values of one secret: one that is renewed often must not fill the memory
)

// Scrubber takes the values of secrets out of text that leaves the agent: the second
// line of defence, behind the marks that stand for them. It costs next to nothing while
// no secret is known. Safe for concurrent use.
type Scrubber struct {
	replacer atomic.Pointer[strings.Replacer]

	mu    sync.Mutex
	known []scrubbed // oldest first
}

type scrubbed struct {
	value, name string
	forms       []string
}

// NewScrubber returns one that knows no value yet.
func NewScrubber() *Scrubber { return &Scrubber{} }

// Learn has a secret's value replaced from now on, in the forms that programs print it in.
func (s *Scrubber) Learn(name, value string) {
	if len(value) < shortestScrubbed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.known, func(k scrubbed) bool { return k.name == name && k.value == value }) {
		return
	}
	s.known = append(s.known, scrubbed{value, name, formsOf(value)})
	of := func(k scrubbed) bool { return k.name == name }
	former := 0
	for _, k := range s.known {
		if of(k) {
			former++
		}
	}
	if former > maxFormer {
		i := slices.IndexFunc(s.known, of)
		s.known = slices.Delete(s.known, i, i+1)
	}
	if len(s.known) > maxScrubbed {
		s.known = slices.Delete(s.known, 0, 1)
	}
	forms := make(map[string]string)
	for _, k := range s.known {
		for _, form := range k.forms {
			forms[form] = fmt.Sprintf("${secret(%q)}", k.name)
		}
	}
	// The longest first: where one value holds another, nothing of it may stay.
	order := make([]string, 0, len(forms))
	for form := range forms {
		order = append(order, form)
	}
	slices.SortFunc(order, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(order))
	for _, form := range order {
		pairs = append(pairs, form, forms[form])
	}
	s.replacer.Store(strings.NewReplacer(pairs...))
}

// Scrub returns text without marks and without the values that are known.
func (s *Scrubber) Scrub(text string) string {
	if r := s.replacer.Load(); r != nil {
		text = r.Replace(text)
		if strings.Contains(text, ellipsis) {
			text = s.scrubCuts(text)
		}
	}
	return redact(text)
}

// ellipsis is where output was shortened, maybe in the middle of a value.
const ellipsis = "…"

// scrubCuts takes out what a cut has left of a value, in front of it or behind it.
func (s *Scrubber) scrubCuts(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(text, ellipsis)
	for i := range parts {
		for _, k := range s.known {
			for _, form := range k.forms {
				if i > 0 {
					parts[i] = parts[i][endOf(form, parts[i]):]
				}
				if i < len(parts)-1 {
					parts[i] = parts[i][:len(parts[i])-beginOf(form, parts[i])]
				}
			}
		}
	}
	return strings.Join(parts, ellipsis)
}

// endOf is how many bytes text begins with that are the end of a value, and not all of it.
func endOf(value, text string) int {
	for n := min(len(value)-1, len(text)); n >= shortestScrubbed; n-- {
		if text[:n] == value[len(value)-n:] {
			return n
		}
	}
	return 0
}

// beginOf is how many bytes text ends with that are the beginning of a value.
func beginOf(value, text string) int {
	for n := min(len(value)-1, len(text)); n >= shortestScrubbed; n-- {
		if text[len(text)-n:] == value[:n] {
			return n
		}
	}
	return 0
}

// The ends of a mark as %q writes them.
var quotedMarks = strings.NewReplacer(`\ue0c0`, "\uE0C0", `\ue0c1`, "\uE0C1")

func redact(text string) string {
	if strings.Contains(text, `\ue0c0`) {
		text = quotedMarks.Replace(text)
	}
	return spec.Redact(text)
}

// Writer scrubs what is written through it, for writers that get whole lines.
func (s *Scrubber) Writer(w io.Writer) io.Writer { return scrubWriter{s, w} }

type scrubWriter struct {
	s *Scrubber
	w io.Writer
}

func (w scrubWriter) Write(p []byte) (int, error) {
	if w.s.replacer.Load() == nil && !bytes.Contains(p, []byte("\uE0C0")) && !bytes.Contains(p, []byte(`\ue0c0`)) {
		return w.w.Write(p)
	}
	if _, err := io.WriteString(w.w, w.s.Scrub(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// formsOf are the value itself and what it becomes in Go and JSON strings, URLs and
// base64, and where text is made fit to be shown; and the lines of one that has several,
// since output comes by line.
func formsOf(value string) []string {
	forms := []string{value, url.QueryEscape(value), url.PathEscape(value)}
	quoted := strconv.Quote(value)
	forms = append(forms, quoted[1:len(quoted)-1])
	var asJSON bytes.Buffer
	for _, html := range []bool{true, false} {
		asJSON.Reset()
		e := json.NewEncoder(&asJSON)
		e.SetEscapeHTML(html)
		if e.Encode(value) == nil {
			line := strings.TrimSuffix(asJSON.String(), "\n")
			forms = append(forms, line[1:len(line)-1])
		}
	}
	forms = append(forms, shownForms(value)...)
	forms = append(forms, base64Forms(value)...)
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		for _, line := range lines {
			line = strings.TrimSpace(line)
			if len(line) >= shortestLine && !strings.HasPrefix(line, "-----") {
				forms = append(forms, line)
			}
		}
	}
	forms = slices.DeleteFunc(forms, func(form string) bool { return len(form) < shortestScrubbed })
	slices.Sort(forms)
	return slices.Compact(forms)
}

// shownForms are what is left of a value without the bytes that are no text or can't be
// seen, and with one blank for several.
func shownForms(value string) []string {
	valid := strings.ToValidUTF8(value, "")
	visible := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, valid)
	return []string{valid, strings.ToValidUTF8(value, "\uFFFD"), strings.ToValidUTF8(value, "?"), visible, strings.TrimSpace(visible), strings.Join(strings.Fields(valid), " ")}
}

// base64Forms are the value in base64, alone and behind other text, as in the
// "user:password" of a request's header: what lies in front of it shifts the letters,
// in one of three ways.
func base64Forms(value string) (forms []string) {
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, e.EncodeToString([]byte(value)))
		raw := e.WithPadding(base64.NoPadding)
		for before := range 3 {
			text := raw.EncodeToString(append(make([]byte, before), value...))
			from := (before*8 + 5) / 6 // letters that what is in front has a part in
			to := (before + len(value)) * 8 / 6
			if to-from >= 8 { // shorter ones may stand for something else
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

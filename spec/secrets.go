package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A secret's value is never part of a Spec. Text that holds a secret holds a mark in
// its place: the secret's name and the fingerprint that its value had when the set was
// read, so that another value makes another digest. Marks are put out of private-use
// characters, which no file may hold.
const (
	markBegin = "\uE0C0"
	markEnd   = "\uE0C1"
)

// Fingerprints tells the loader what stands for a secret's value in digests: a keyed
// hash, which is worth nothing to whom has not the key. It is "" where the value is not
// known, as in validate.
type Fingerprints interface{ Fingerprint(name string) string }

var mark = regexp.MustCompile(markBegin + `([A-Za-z0-9._-]+):([0-9a-f]*)` + markEnd)

// secretMark is what stands in text for a secret's value.
func secretMark(name, fingerprint string) string {
	return markBegin + name + ":" + fingerprint + markEnd
}

// Reveal puts the values of secrets where their marks stand. Its result belongs into the
// one place that needs it and nowhere else: no error, log or state may hold it.
func Reveal(text string, value func(name string) (string, error)) (string, error) {
	if !strings.Contains(text, markBegin) {
		return text, nil
	}
	var failed error
	out := mark.ReplaceAllStringFunc(text, func(m string) string {
		v, err := value(mark.FindStringSubmatch(m)[1])
		if err != nil && failed == nil {
			failed = err
		}
		return v
	})
	if failed != nil {
		return "", failed
	}
	return out, nil
}

// shownMark also matches a mark that was cut short, or quoted as Go quotes.
var shownMark = regexp.MustCompile(`(?:` + markBegin + `|\\ue0c0)([A-Za-z0-9._-]+)(?::[0-9a-f]*)?(?:` + markEnd + `|\\ue0c1)?`)

// Redact shows text to people: secrets as they are written in HCL.
func Redact(text string) string {
	if !strings.Contains(text, markBegin) && !strings.Contains(text, `\ue0c0`) {
		return text
	}
	return shownMark.ReplaceAllStringFunc(text, func(m string) string {
		return fmt.Sprintf("${secret(%q)}", shownMark.FindStringSubmatch(m)[1])
	})
}

// SecretsIn lists the names of the secrets that text holds, sorted and each once.
func SecretsIn(text string) (names []string) {
	for _, m := range mark.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

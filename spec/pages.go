package spec

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

// Page says of a code what its line in the table has no room for.
type Page struct {
	Text         string   // paragraphs, in Markdown
	Wrong, Right *Example // nil where no file shows it
	Nodes        []string // that there are, for what is found in Wrong; nil: not known
}

// Example is a whole set of one file.
type Example struct{ Path, Text string }

//go:embed pages/*.txt
var pageFiles embed.FS

var pagePart = regexp.MustCompile(`(?m)^-- (wrong|right|nodes)((?: [^ \n]+)*) --\n`)

// PageOf returns the page of a code that there is.
func PageOf(code string) Page {
	src, err := pageFiles.ReadFile("pages/" + code + ".txt")
	if err != nil {
		panic(fmt.Sprintf("internal error: code %s has no page: %v", code, err))
	}
	text := string(src)
	parts := pagePart.FindAllStringSubmatchIndex(text, -1)
	end := func(i int) int {
		if i < len(parts) {
			return parts[i][0]
		}
		return len(text)
	}
	p := Page{Text: strings.TrimSpace(text[:end(0)])}
	for i, m := range parts {
		words := strings.Fields(text[m[4]:m[5]])
		example := &Example{Path: "example.hcl", Text: text[m[1]:end(i+1)]}
		if len(words) == 1 {
			example.Path = words[0]
		}
		switch text[m[2]:m[3]] {
		case "wrong":
			p.Wrong = example
		case "right":
			p.Right = example
		case "nodes":
			p.Nodes = words
		}
	}
	return p
}

// titles are of the codes whose findings have no wording in common.
var titles = map[string]string{
	codeSyntax:       "broken syntax",
	codeKey:          "a reference to an instance that does not exist",
	codeEvaluation:   "an expression without a value",
	codeForEach:      "for_each makes no instances of this",
	codeInvalid:      "a value that the kind refuses",
	codeSchedule:     "not a schedule",
	codeNote:         "what a kind leaves open",
	codeNoCommonNode: "no node for services that belong together, or apart",
	codeNeverMet:     "a requirement that does not come up by itself",
}

var holes = strings.NewReplacer("%q", "“…”", "%s", "…", "%d", "…", "%v", "…")

// Title is what all findings of the code have in common, with … for what differs.
func (c *Code) Title() string {
	if t := titles[c.Code]; t != "" {
		return t
	}
	return holes.Replace(c.Summary)
}

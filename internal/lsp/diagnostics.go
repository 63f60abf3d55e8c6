package lsp

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"

	"github.com/svcctl/svcctl/spec"
)

const maxDiagnostics = 1000 // of one file

// Findings that an editor shows as text that could go, or that is of yesterday.
var (
	unnecessary = []string{"SV0311", "SV0601", "SV0602", "SV0606"}
	deprecated  = []string{"SV0603"}
)

// otherPlace is how a finding's detail names another place.
var otherPlace = regexp.MustCompile(`([^\s:;,"]+\.hcl):([0-9]{1,9})`)

// conversion makes diagnostics of one reading's findings.
type conversion struct {
	encoding encoding
	set      *set
	view     *view
	open     map[string]*document
	texts    map[string]*text
}

func (c *conversion) uri(p string) string {
	if d := c.open[p]; d != nil {
		return d.uri
	}
	return uriOf(c.set.absolute(p))
}

func (c *conversion) text(p string) *text {
	if d := c.open[p]; d != nil {
		return d.text
	}
	t, have := c.texts[p]
	if !have {
		if t = readText(c.set.absolute(p)); t == nil {
			t = newText(nil)
		}
		c.texts[p] = t
	}
	return t
}

// diagnostics are those of one file. What is about the set itself is shown in the first
// file that is open.
func (c *conversion) diagnostics(p string) []diagnostic {
	findings := c.view.findings[p]
	if d := c.open[p]; d != nil && p == slices.Min(slices.Collect(maps.Keys(c.open))) && !c.agent(p) {
		findings = append(findings[:len(findings):len(findings)], c.view.findings[""]...)
	}
	out := make([]diagnostic, 0, len(findings))
	for i, f := range findings {
		if i == maxDiagnostics {
			out = append(out, diagnostic{Severity: severityHint, Source: "svcctl", Message: fmt.Sprintf("There are %d findings more.", len(findings)-i)})
			break
		}
		out = append(out, c.diagnostic(p, f))
	}
	return out
}

func (c *conversion) agent(p string) bool {
	o := c.view.outlines[p]
	return o != nil && o.agent
}

func (c *conversion) diagnostic(p string, f spec.Finding) diagnostic {
	d := diagnostic{Code: f.Code, Source: "svcctl", Message: f.Statement(), Range: c.rangeOf(p, f.Range)}
	if f.Detail != "" {
		d.Message += ".\n" + f.Detail
	}
	switch f.Severity {
	case spec.Error:
		d.Severity = severityError
	case spec.Warning:
		d.Severity = severityWarning
	case spec.Note:
		d.Severity = severityHint
	default:
		panic("internal error: severity " + string(f.Severity))
	}
	if slices.Contains(unnecessary, f.Code) {
		d.Tags = []int{tagUnnecessary}
	}
	if slices.Contains(deprecated, f.Code) {
		d.Tags = []int{tagDeprecated}
	}
	for _, m := range otherPlace.FindAllStringSubmatch(f.Detail, 8) {
		if c.view.outlines[m[1]] == nil {
			continue
		}
		line, err := strconv.Atoi(m[2])
		if err != nil || line < 1 || line > len(c.text(m[1]).lines) {
			continue
		}
		end := c.text(m[1]).position(c.text(m[1]).lineEnd(line-1), c.encoding)
		at := location{c.uri(m[1]), textRange{position{Line: line - 1}, end}}
		d.Related = append(d.Related, related{at, "the other place"})
	}
	return d
}

func (c *conversion) rangeOf(p string, at hcl.Range) textRange {
	if at.Start.Line == 0 {
		return textRange{}
	}
	return c.text(p).rangeOf(span{at.Start.Byte, at.End.Byte}, c.encoding)
}

package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	homepage    = "https://github.com/svcctl/svcctl"

	// sourceRoot is what code scanning calls the top of the checkout, from which paths are
	// written where svcctl was run there.
	sourceRoot = "%SRCROOT%"
)

type sarifText struct {
	Text string `json:"text"`
}

type sarifPage struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Short   sarifText `json:"shortDescription"`
	Full    sarifText `json:"fullDescription"`
	Help    sarifPage `json:"help"`
	Default struct {
		Level Severity `json:"level"`
	} `json:"defaultConfiguration"`
	Properties struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"problem.severity"` // GitHub's name for the level
	} `json:"properties"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine"`
	EndColumn   int `json:"endColumn"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId,omitempty"`
}

type sarifPlace struct {
	Physical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	} `json:"physicalLocation"`
}

type sarifResult struct {
	Rule         string            `json:"ruleId"`
	Index        int               `json:"ruleIndex"`
	Level        Severity          `json:"level"` // our severities are its levels
	Message      sarifText         `json:"message"`
	Places       []sarifPlace      `json:"locations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   *sarifNodes       `json:"properties,omitempty"`
}

type sarifNodes struct {
	Nodes []string `json:"nodes"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name     string      `json:"name"`
			Homepage string      `json:"informationUri"`
			Version  string      `json:"version,omitempty"`
			Rules    []sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

// WriteSARIF writes the findings in the Static Analysis Results Interchange Format, 2.1.0,
// with what GitHub's code scanning asks for.
func (f Findings) WriteSARIF(w io.Writer, version string) {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	driver := &run.Tool.Driver
	driver.Name, driver.Homepage, driver.Version, driver.Rules = "svcctl", homepage, version, []sarifRule{}
	index, alike := map[string]int{}, map[string]int{}
	for _, x := range f {
		i, known := index[x.Code]
		if !known {
			i = len(driver.Rules)
			index[x.Code] = i
			driver.Rules = append(driver.Rules, x.rule())
		}
		r := sarifResult{
			Rule: x.Code, Index: i, Level: x.Severity, Message: sarifText{x.message()},
			Fingerprints: map[string]string{"svcctl/v1": x.fingerprint(alike)},
		}
		if len(x.Nodes) > 0 {
			r.Properties = &sarifNodes{x.Nodes}
		}
		if x.File != "" {
			r.Places = []sarifPlace{x.sarifPlace()}
		}
		run.Results = append(run.Results, r)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{ // the stream's owner sees its error on closing it
		"$schema": sarifSchema, "version": "2.1.0", "runs": []sarifRun{run},
	})
}

func (f Finding) rule() sarifRule {
	code := codeByName[f.Code]
	r := sarifRule{
		ID: f.Code, Short: sarifText{code.Title()}, Full: sarifText{code.Why},
		Help: sarifHelp(code),
	}
	r.Default.Level = code.Severity
	r.Properties.Tags, r.Properties.Severity = []string{"svcctl"}, string(code.Severity)
	if code.Severity == Note {
		r.Properties.Severity = "recommendation"
	}
	return r
}

// sarifHelp is the code's page, with its example.
func sarifHelp(c *Code) sarifPage {
	p := PageOf(c.Code)
	text := c.Why + "\n\n" + p.Text + "\n"
	h := sarifPage{text, text}
	for _, part := range []struct {
		title string
		*Example
	}{{"Wrong", p.Wrong}, {"Right", p.Right}} {
		if part.Example != nil {
			h.Text += "\n" + part.title + ":\n\n" + part.Text
			h.Markdown += "\n" + part.title + ":\n\n```hcl\n" + part.Text + "```\n"
		}
	}
	return h
}

// sarifPlace points at the file's begin where the file as a whole is meant: code scanning
// refuses a place without lines and columns.
func (f Finding) sarifPlace() (p sarifPlace) {
	p.Physical.Artifact = artifact(f.File)
	p.Physical.Region = sarifRegion{1, 1, 1, 1}
	if start, end := f.Range.Start, f.Range.End; start.Line > 0 {
		from, to := f.columns()
		p.Physical.Region = sarifRegion{start.Line, from, end.Line, to}
	}
	return p
}

func artifact(file string) sarifArtifact {
	if filepath.IsAbs(file) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()}
	}
	name := path.Clean(filepath.ToSlash(file))
	a := sarifArtifact{URI: (&url.URL{Path: name}).String()}
	if name != ".." && !strings.HasPrefix(name, "../") {
		a.Base = sourceRoot
	}
	return a
}

// fingerprint tells findings apart, and is the same after lines were added above. It
// counts those that are alike. The source is no part of it: it could hold a password.
func (f Finding) fingerprint(alike map[string]int) string {
	what := strings.Join([]string{f.Code, filepath.ToSlash(f.File), f.Summary}, "\x00")
	alike[what]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", what, alike[what]))
	return hex.EncodeToString(sum[:16])
}

// columns are those of the range's ends in characters. HCL counts what a reader takes
// for one, which may be several.
func (f Finding) columns() (start, end int) {
	return f.column(f.Range.Start), f.column(f.Range.End)
}

func (f Finding) column(at hcl.Pos) int {
	if f.source == nil || at.Byte > len(f.source) {
		return at.Column
	}
	before := f.source[bytes.LastIndexByte(f.source[:at.Byte], '\n')+1 : at.Byte]
	return utf8.RuneCount(bytes.TrimPrefix(before, []byte(byteOrderMark))) + 1
}

package spec

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// Findings for the programs that show them in reviews and builds. Each of these writes
// all findings, notes too, and leaves an error of the stream to the stream's owner.

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID    string    `json:"id"`
	Short sarifText `json:"shortDescription"`
	Full  sarifText `json:"fullDescription"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine"`
	EndColumn   int `json:"endColumn"`
}

type sarifPlace struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifResult struct {
	Rule    string       `json:"ruleId"`
	Index   int          `json:"ruleIndex"`
	Level   Severity     `json:"level"` // our severities are its levels
	Message sarifText    `json:"message"`
	Places  []sarifPlace `json:"locations,omitempty"`
	More    *sarifMore   `json:"properties,omitempty"`
}

// sarifMore is what SARIF has no word for.
type sarifMore struct {
	Nodes []string `json:"nodes"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name    string      `json:"name"`
			Version string      `json:"version,omitempty"`
			Rules   []sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

// WriteSARIF writes the findings in the Static Analysis Results Interchange Format, 2.1.0.
func (f Findings) WriteSARIF(w io.Writer, version string) {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver.Name, run.Tool.Driver.Version, run.Tool.Driver.Rules = "svcctl", version, []sarifRule{}
	index := map[string]int{}
	for _, x := range f {
		i, known := index[x.Code]
		if !known {
			i = len(run.Tool.Driver.Rules)
			index[x.Code] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{x.Code, sarifText{x.sort()}, sarifText{codeByName[x.Code].Why}})
		}
		r := sarifResult{Rule: x.Code, Index: i, Level: x.Severity, Message: sarifText{x.message()}}
		if x.File != "" {
			var p sarifPlace
			p.Physical.Artifact.URI = (&url.URL{Path: filepath.ToSlash(x.File)}).String()
			if start, end := x.Range.Start, x.Range.End; start.Line > 0 {
				p.Physical.Region = &sarifRegion{start.Line, start.Column, end.Line, end.Column}
			}
			r.Places = []sarifPlace{p}
		}
		if len(x.Nodes) > 0 {
			r.More = &sarifMore{x.Nodes}
		}
		run.Results = append(run.Results, r)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{ // the stream's owner sees its error on closing it
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": []sarifRun{run},
	})
}

// sort is what all findings of the code have in common.
func (f Finding) sort() string {
	s := strings.NewReplacer("%q", "…", "%s", "…", "%d", "…").Replace(codeByName[f.Code].Summary)
	if s == "…" {
		return codeByName[f.Code].Why
	}
	return s
}

func (f Finding) message() string {
	if f.Detail == "" {
		return f.statement()
	}
	return f.statement() + ". " + f.Detail
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the findings as the result of tests: an error is a test that failed,
// anything else one that passed and has something to say.
func (f Findings) WriteJUnit(w io.Writer) {
	suite := struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}{Name: "svcctl validate"}
	for _, x := range f {
		c := junitCase{Class: x.Code, Name: strings.TrimPrefix(x.where()+" "+x.statement(), " ")}
		if x.Severity == Error {
			suite.Failures++
			c.Failure = &junitFailure{x.statement(), x.Code, x.where() + "\n" + x.Detail}
		} else {
			c.Out = string(x.Severity) + ": " + x.message()
		}
		suite.Cases = append(suite.Cases, c)
	}
	if suite.Failures == 0 {
		suite.Cases = append(suite.Cases, junitCase{Class: "svcctl", Name: "the set can be used"})
	}
	suite.Tests = len(suite.Cases)
	io.WriteString(w, xml.Header)
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	_ = e.Encode(suite) // the stream's owner sees its error on closing it
	io.WriteString(w, "\n")
}

// WriteGitHub writes the findings as commands that GitHub's runners show beside the lines.
func (f Findings) WriteGitHub(w io.Writer) {
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, x := range f {
		word := string(x.Severity)
		if x.Severity == Note {
			word = "notice"
		}
		place := ""
		if x.File != "" {
			place = "file=" + property.Replace(filepath.ToSlash(x.File)) + ","
		}
		if start, end := x.Range.Start, x.Range.End; start.Line > 0 {
			place += fmt.Sprintf("line=%d,endLine=%d,col=%d,", start.Line, end.Line, start.Column)
			if start.Line == end.Line {
				place += fmt.Sprintf("endColumn=%d,", end.Column)
			}
		}
		fmt.Fprintf(w, "::%s %stitle=%s::%s\n", word, place, x.Code, text.Replace(x.message()))
	}
}

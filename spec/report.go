package spec

import (
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Findings for the programs that show them in reviews and builds. Each of these writes
// all findings, notes too, and leaves an error of the stream to the stream's owner.

func (f Finding) message() string {
	if f.Detail == "" {
		return f.statement()
	}
	return f.statement() + ". " + f.Detail
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"` // what GitLab shows beside a test
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the findings as the result of tests: an error is a test that failed,
// and so is a warning where strict; anything else is one that passed and has something
// to say.
func (f Findings) WriteJUnit(w io.Writer, strict bool) {
	suite := struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}{Name: "svcctl validate"}
	for _, x := range f {
		c := junitCase{Class: x.Code, Name: strings.TrimPrefix(x.where()+" "+x.Summary, " "), File: x.File, Line: x.Range.Start.Line}
		if x.Severity == Error || strict && x.Severity == Warning {
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
			place = "file=" + property.Replace(plainText(filepath.ToSlash(x.File))) + ","
		}
		if start, end := x.Range.Start, x.Range.End; start.Line > 0 {
			place += fmt.Sprintf("line=%d,endLine=%d,", start.Line, end.Line)
			if start.Line == end.Line { // columns of a range of lines are refused
				from, to := x.columns()
				place += fmt.Sprintf("col=%d,endColumn=%d,", from, to)
			}
		}
		fmt.Fprintf(w, "::%s %stitle=%s::%s\n", word, place, x.Code, text.Replace(x.message()))
	}
}

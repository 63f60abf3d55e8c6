package agent

import (
	"fmt"

	"github.com/svcctl/svcctl/spec"
)

// maxLogged bounds the findings of one load that are written to the log.
const maxLogged = 20

// found keeps what was found in the set that comes into force, and logs what was not
// found in the one before. A mistake is in a set that an older version accepted.
func (s *sets) found(findings spec.Findings) {
	before := make(map[string]bool, len(s.findings))
	for i := range s.findings {
		before[saying(&s.findings[i])] = true
	}
	s.findings = findings
	logged := 0
	for i := range findings {
		f := &findings[i]
		if f.Severity == spec.Note || before[saying(f)] {
			continue
		}
		if logged++; logged > maxLogged {
			continue
		}
		words := []any{"code", f.Code, "at", fmt.Sprintf("%s:%d", f.File, f.Range.Start.Line), "finding", f.Summary, "detail", f.Detail}
		if f.Severity == spec.Error {
			s.a.log.Error("this version of svcctl finds a mistake in what is in force: it goes on, and the next change has to mend it", words...)
		} else {
			s.a.log.Warn("a warning about what is in force", words...)
		}
	}
	if logged > maxLogged {
		s.a.log.Warn("there is more to warn of: see svcctl validate", "more", logged-maxLogged)
	}
}

// saying is what makes a finding the same in another revision, where it may be on another line.
func saying(f *spec.Finding) string { return f.Code + "\x00" + f.File + "\x00" + f.Summary }

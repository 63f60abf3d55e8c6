package exec

import (
	"strings"

	"github.com/svcctl/svcctl/drivers"
)

// words of a plugin's exit codes.
var words = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// nagios judges the run of a plugin by its exit code alone: what it prints is for
// people, and does not always name the state.
func (p *prober) nagios(err error, output, complaint string) drivers.Status {
	text, values, note := plugin(output)
	p.measured = values
	if text == "" {
		text = complaint
	}
	s := verdict(err, text)
	code := 0
	if s.Exit != nil {
		code = s.Exit.Code
	}
	if s.State == drivers.Up || code >= 1 && code < len(words) {
		s.State = drivers.Down
		if code == 0 || code == 1 && p.config.Warning != "fail" || code == 3 && p.config.Unknown == "pass" {
			s.State = drivers.Up
		}
		s.Detail = text
		if word := words[code]; code > 0 && !strings.Contains(text, word) {
			s.Detail = strings.TrimSuffix(word+": "+text, ": ")
		}
	}
	if note != "" {
		s.Detail = strings.TrimSpace(s.Detail + " (" + note + ")")
	}
	return s
}

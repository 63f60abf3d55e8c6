package disk

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a disk check takes.
type Config struct {
	Path          string `hcl:"path" doc:"A folder or file of the file system that is looked at."`
	MinFree       string `hcl:"min_free,optional" doc:"How much must be free for users without privileges: a size (\"5G\"), or a part of the whole (\"10%\")."`
	MaxUsed       string `hcl:"max_used,optional" doc:"How much may be used: a size, or a part as df(1) counts it (\"90%\")."`
	MinFreeInodes string `hcl:"min_free_inodes,optional" doc:"How many inodes must be free: a number, or a part of the whole (\"5%\"). File systems that make inodes as needed always pass."`
	MaxUsedInodes string `hcl:"max_used_inodes,optional" doc:"How many inodes may be used: a number, or a part of the whole."`
	Mounted       bool   `hcl:"mounted" default:"false" doc:"The path itself must be a mount point: what lies below it, where nothing is mounted, does not count."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if !filepath.IsAbs(c.Path) {
		problem("path", "Path is not absolute", "%q depends on where the agent was started; write the path from /.", c.Path)
	}
	for _, f := range []struct{ name, text, such string }{
		{"min_free", c.MinFree, `"5G" or "10%"`}, {"max_used", c.MaxUsed, `"500G" or "90%"`},
	} {
		if _, err := parseLimit(f.text, true); err != nil {
			problem(f.name, "Neither a size nor a part", "%q %v; write for instance %s.", f.text, err, f.such)
		}
	}
	for _, f := range []struct{ name, text string }{{"min_free_inodes", c.MinFreeInodes}, {"max_used_inodes", c.MaxUsedInodes}} {
		if _, err := parseLimit(f.text, false); err != nil {
			problem(f.name, "Neither a number nor a part", `%q %v; write for instance "10000" or "5%%".`, f.text, err)
		}
	}
	return found
}

// A limit is an amount, or a part of the whole.
type limit struct {
	set     bool
	part    bool
	percent float64
	amount  float64
	text    string
}

var amount = drivers.Expression(`^([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:(%)|([KMGTP]?)(?:i?B)?)$`)

// parseLimit reads "" as no limit. Units are powers of 1024, as everywhere in the language.
func parseLimit(text string, bytes bool) (l limit, err error) {
	if text == "" {
		return l, nil
	}
	m := amount().FindStringSubmatch(text)
	if m == nil {
		return l, fmt.Errorf("can't be read")
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return l, fmt.Errorf("can't be read")
	}
	l = limit{set: true, part: m[2] != "", text: text}
	switch {
	case l.part && n > 100:
		return limit{}, fmt.Errorf("is more than the whole")
	case l.part:
		l.percent = n
	case !bytes && (strings.TrimRight(text, "0123456789") != ""):
		return limit{}, fmt.Errorf("is no count")
	default:
		l.amount = n * math.Pow(1024, float64(strings.Index("KMGTP", m[3])+1))
		if m[3] == "" {
			l.amount = n
		}
	}
	return l, nil
}

// of gives the limit as an amount.
func (l limit) of(whole float64) float64 {
	if l.part {
		return whole * l.percent / 100
	}
	return l.amount
}

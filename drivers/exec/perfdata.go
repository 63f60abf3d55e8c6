package exec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/svcctl/svcctl/drivers"
)

const (
	mostValues   = 200 // of one run of a plugin
	longestLabel = 200 // bytes
)

// digits and limits are those of the plugin guidelines: digits, a sign and a point. A
// range is [@][start:]end, where start may be ~ and end may be left out behind a colon.
var (
	digits  = drivers.Expression(`^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)`)
	limit   = drivers.Expression(`^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$`)
	between = drivers.Expression(`^@?(?:(?:~|-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)?):)?(?:-?(?:[0-9]+\.?[0-9]*|\.[0-9]+))?$`)
	letters = drivers.Expression(`^[A-Za-z/]{0,8}$`)
)

// scale leads from a plugin's units to base units. Plugins count bytes by 1024,
// however they write it.
var scale = map[string]struct {
	factor float64
	unit   string
}{
	"": {1, ""}, "s": {1, "seconds"}, "ms": {1e-3, "seconds"}, "us": {1e-6, "seconds"}, "ns": {1e-9, "seconds"}, "%": {1, "percent"},
	"B": {1, "bytes"}, "KB": {1 << 10, "bytes"}, "MB": {1 << 20, "bytes"}, "GB": {1 << 30, "bytes"}, "TB": {1 << 40, "bytes"}, "PB": {1 << 50, "bytes"},
	"KiB": {1 << 10, "bytes"}, "MiB": {1 << 20, "bytes"}, "GiB": {1 << 30, "bytes"}, "TiB": {1 << 40, "bytes"}, "PiB": {1 << 50, "bytes"},
}

// plugin reads what a Nagios plugin printed: the text of its first line, and its
// performance data: behind the first "|" of the first line, and everything behind the
// first "|" of the lines after it.
func plugin(output string) (text string, values []drivers.Perf, note string) {
	first, rest, _ := strings.Cut(output, "\n")
	text, data, _ := strings.Cut(first, "|")
	_, more, _ := strings.Cut(rest, "|")
	values, note = perfdata(data + " " + more)
	text = readable(text)
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "…"
	}
	return text, values, note
}

// perfdata reads what follows the grammar. The note says what did not, and is "" where
// all did.
func perfdata(data string) (values []drivers.Perf, note string) {
	seen := make(map[string]bool)
	var wrong string
	bad := 0
	for data = strings.TrimSpace(data); data != ""; data = strings.TrimSpace(data) {
		label, rest, err := cutLabel(data)
		if err == nil {
			var item string
			item, data = cutBlank(rest)
			var p drivers.Perf
			var known bool
			p, known, err = value(label, item)
			switch {
			case err != nil, !known:
			case seen[label]:
				err = fmt.Errorf("%q is there twice", label)
			case len(values) == mostValues:
				return values, fmt.Sprintf("more than %d values: the rest is left out", mostValues)
			default:
				seen[label] = true
				values = append(values, p)
			}
		} else {
			_, data = cutBlank(data) // go on behind the next blank, since the label has no end
		}
		if err != nil {
			if bad++; bad == 1 {
				wrong = err.Error()
			}
		}
	}
	switch bad {
	case 0:
		return values, ""
	case 1:
		return values, "performance data left out: " + wrong
	}
	return values, fmt.Sprintf("performance data left out: %s, and %d more", wrong, bad-1)
}

func cutBlank(s string) (before, after string) {
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cutLabel reads "label=" or "'label'=", where two quotes stand for one.
func cutLabel(s string) (label, rest string, err error) {
	if !strings.HasPrefix(s, "'") {
		word, _ := cutBlank(s)
		label, _, found := strings.Cut(word, "=")
		if !found || label == "" || strings.Contains(label, "'") {
			return "", "", fmt.Errorf("%s has no label", excerpt(word))
		}
		return checked(label, s[len(label)+1:])
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '\'':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case i+1 < len(s) && s[i+1] == '=':
			return checked(b.String(), s[i+2:])
		default:
			return "", "", fmt.Errorf("no = behind the label '%s'", excerpt(b.String()))
		}
	}
	return "", "", fmt.Errorf("the label %s has no end", excerpt(s))
}

func checked(label, rest string) (string, string, error) {
	switch {
	case label == "", strings.Contains(label, "="):
		return "", "", fmt.Errorf("%s is no label", excerpt(label))
	case len(label) > longestLabel:
		return "", "", fmt.Errorf("the label %s is too long", excerpt(label))
	case !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", "", fmt.Errorf("the label %s can't be printed", excerpt(label))
	}
	return label, rest, nil
}

// value reads value[UOM][;warn[;crit[;min[;max]]]]. A value that the plugin could not
// find out, U, is not known and no mistake.
func value(label, item string) (p drivers.Perf, known bool, err error) {
	fields := strings.Split(item, ";")
	if len(fields) == 6 && fields[5] == "" {
		fields = fields[:5]
	}
	wrong := fmt.Errorf("%s=%s", label, excerpt(item))
	if len(fields) > 5 {
		return p, false, wrong
	}
	for i, f := range fields[1:] {
		allowed := between
		if i >= 2 {
			allowed = limit
		}
		if f != "" && (!allowed().MatchString(f) || f == "@" || f == "@:") {
			return p, false, wrong
		}
	}
	if fields[0] == "U" {
		return p, false, nil
	}
	amount := digits().FindString(fields[0])
	v, err := strconv.ParseFloat(amount, 64)
	if err != nil || math.IsInf(v, 0) {
		return p, false, wrong
	}
	unit := fields[0][len(amount):]
	to, ok := scale[unit]
	switch {
	case ok:
		p = drivers.Perf{Label: label, Value: v * to.factor, Unit: to.unit}
	case unit == "c":
		p = drivers.Perf{Label: label, Value: v, Counter: true}
	case letters().MatchString(unit): // a unit that we know nothing of: its number as it is
		p = drivers.Perf{Label: label, Value: v}
	default:
		return p, false, wrong
	}
	return p, true, nil
}

func excerpt(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return readable(s)
}

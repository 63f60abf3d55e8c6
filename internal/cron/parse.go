package cron

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error is a mistake in a schedule.
type Error struct {
	Wrong string // what is wrong, with the field's name
	Write string // what to write instead, a sentence
}

func (e *Error) Error() string { return e.Wrong + ": " + lowerFirst(strings.TrimSuffix(e.Write, ".")) }

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// field is one of the five.
type field struct {
	name     string
	min, max int
	words    []string // names of the values from min on
	example  string
}

var fields = []field{
	{name: "minute", min: 0, max: 59, example: "*/15"},
	{name: "hour", min: 0, max: 23, example: "3"},
	{name: "day of month", min: 1, max: 31, example: "1,15"},
	{name: "month", min: 1, max: 12, words: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), example: "jan-mar"},
	{name: "day of week", min: 0, max: 7, words: strings.Fields("sun mon tue wed thu fri sat"), example: "mon-fri"},
}

var shorthands = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

const maxLength = 1000 // characters of a schedule

// Parse reads five fields (minute, hour, day of month, month, day of week), one of
// @yearly @annually @monthly @weekly @daily @midnight @hourly, or "@every DURATION":
// multiples of a duration since 1970, in whole seconds. Its times are those of a clock on the wall
// in zone. Every error is an *Error; a schedule that is never due is one.
func Parse(text string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	if len(text) > maxLength {
		return nil, &Error{"the schedule is too long", fmt.Sprintf("Write at most %d characters.", maxLength)}
	}
	words := strings.Fields(text)
	if len(words) > 0 && strings.HasPrefix(words[0], "@") {
		if words[0] == "@every" {
			return parseEvery(words[1:], zone)
		}
		long, known := shorthands[words[0]]
		if !known || len(words) > 1 {
			return nil, &Error{fmt.Sprintf("%q is no schedule", text),
				"Write @yearly, @monthly, @weekly, @daily, @hourly, or @every with a duration such as \"@every 15m\"."}
		}
		words = strings.Fields(long)
	}
	if len(words) != len(fields) {
		write := `Write minute, hour, day of month, month and day of week, such as "0 3 * * *" for every night at three.`
		if len(words) == 6 {
			write = `There are neither seconds nor years: ` + lowerFirst(write)
		}
		return nil, &Error{fmt.Sprintf("a schedule has five fields, this one has %d", len(words)), write}
	}
	s := &Schedule{zone: zone}
	for i, into := range []*uint64{&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays} {
		set, err := fields[i].parse(words[i])
		if err != nil {
			return nil, err
		}
		*into = set
	}
	s.weekdays = s.weekdays&0x7f | s.weekdays>>7 // 7 is Sunday too
	s.steady = open(words[0]) || open(words[1])
	s.anyDay = open(words[2]) || open(words[4])
	if s.anyDay && !s.hasDay() {
		return nil, &Error{fmt.Sprintf("the schedule is never due: day %s does not exist in month %s", words[2], words[3]),
			"Write a day of month that the month has."}
	}
	return s, nil
}

func open(word string) bool { return word[0] == '*' || word[0] == '?' }

// hasDay says whether a month that is allowed has a day that is allowed.
func (s *Schedule) hasDay() bool {
	for m := time.January; m <= time.December; m++ {
		if s.months&(1<<m) != 0 && bits.TrailingZeros64(s.days) <= daysIn(2000, m) {
			return true
		}
	}
	return false
}

func parseEvery(words []string, zone *time.Location) (*Schedule, error) {
	write := `Write a duration behind it, such as "@every 15m".`
	if len(words) != 1 {
		return nil, &Error{"@every needs one duration", write}
	}
	d, err := time.ParseDuration(words[0])
	switch {
	case err != nil:
		return nil, &Error{fmt.Sprintf("%q behind @every is no duration", words[0]), `Write a number and a unit, such as "@every 15m" or "@every 1h30m".`}
	case d < time.Second || d%time.Second != 0:
		return nil, &Error{fmt.Sprintf("@every %s is not a whole number of seconds", words[0]), `Write at least "@every 1s".`}
	}
	return &Schedule{zone: zone, every: d}, nil
}

// parse reads a list of ranges.
func (f *field) parse(text string) (set uint64, err error) {
	if text == "?" {
		if f.name != "day of month" && f.name != "day of week" {
			return 0, f.wrong(text, "can't be ?", "Write * for every one; ? stands for days only.")
		}
		text = "*"
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, step, err := f.parseRange(text, part)
		if err != nil {
			return 0, err
		}
		for n := first; n <= last; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f *field) parseRange(text, part string) (first, last, step int, err error) {
	if part == "" {
		return 0, 0, 0, f.wrong(text, "has an empty place in its list", "Write values with one comma between two, such as 1,15.")
	}
	span, by, stepped := strings.Cut(part, "/")
	top := f.max
	if f.max == 7 {
		top = 6
	}
	step = 1
	if stepped {
		count := top - f.min + 1
		step, err = strconv.Atoi(by)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange) || step < 1 && err == nil:
			return 0, 0, 0, f.wrong(text, fmt.Sprintf("has a step of %q", by), fmt.Sprintf("Write a whole number from 1 on, such as %s.", "*/2"))
		case err != nil || step > count:
			write := fmt.Sprintf("Write a step of at most %d.", count)
			if f.name == "minute" || f.name == "hour" {
				write = fmt.Sprintf(`Write "@every DURATION", such as "@every 90m", or a step of at most %d.`, count)
			}
			return 0, 0, 0, f.wrong(text, fmt.Sprintf("has a step of %s, longer than all its values", by), write)
		}
	}
	if span == "*" {
		return f.min, top, step, nil
	}
	from, to, ranged := strings.Cut(span, "-")
	if first, err = f.value(text, from); err != nil {
		return 0, 0, 0, err
	}
	if !ranged {
		if stepped {
			return 0, 0, 0, f.wrong(text, "has a step behind a single value", fmt.Sprintf("Write where it ends: %s-%d/%s.", from, top, by))
		}
		return first, first, 1, nil
	}
	if last, err = f.value(text, to); err != nil {
		return 0, 0, 0, err
	}
	if f.max == 7 && last == 0 && first > 0 { // sat-sun
		last = 7
	}
	if last < first {
		return 0, 0, 0, f.wrong(text, fmt.Sprintf("has the range %s, which ends before it begins", span), fmt.Sprintf("Write two ranges: %s-%s,%s-%s.", from, f.word(top, from), f.word(f.min, from), to))
	}
	return first, last, step, nil
}

// word is a value in the style of another one that was written.
func (f *field) word(n int, like string) string {
	if i := n - f.min; i < len(f.words) && slices.Contains(f.words, strings.ToLower(like)) {
		return f.words[i]
	}
	return strconv.Itoa(n)
}

func (f *field) value(text, word string) (int, error) {
	if i := slices.Index(f.words, strings.ToLower(word)); i >= 0 {
		return f.min + i, nil
	}
	n, err := strconv.Atoi(word)
	digits := word != "" && strings.Trim(word, "0123456789") == ""
	if digits && (err != nil || n < f.min || n > f.max) {
		return 0, f.wrong(text, fmt.Sprintf("has %s, which is out of range", word), fmt.Sprintf("Write %d to %d.", f.min, f.max))
	}
	if !digits {
		write := fmt.Sprintf("Write a number from %d to %d, a list, a range, or a step, such as %s.", f.min, f.max, f.example)
		if f.words != nil {
			write = fmt.Sprintf("Write a number from %d to %d or a name (%s), such as %s.", f.min, f.max, strings.Join(f.words, " "), f.example)
		}
		return 0, f.wrong(text, fmt.Sprintf("has %q, which is no number", word), write)
	}
	return n, nil
}

func (f *field) wrong(text, what, write string) *Error {
	return &Error{fmt.Sprintf("the %s %q %s", f.name, text, what), write}
}

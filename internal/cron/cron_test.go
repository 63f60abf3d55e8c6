package cron

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parse(t testing.TB, text string, z *time.Location) *Schedule {
	t.Helper()
	s, err := Parse(text, z)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

// The clocks of 2026: Paris 29 March 2:00 → 3:00 and 25 October 3:00 → 2:00; New York
// 8 March 2:00 → 3:00 and 1 November 2:00 → 1:00; Lord Howe 5 April 2:00 → 1:30 and
// 4 October 2:00 → 2:30.
func TestTimesOnTheWallAroundChangesOfTheClock(t *testing.T) {
	for _, c := range []struct{ zone, schedule, from, want string }{
		{"Europe/Paris", "30 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00 30T02:30:00+02:00"},
		{"Europe/Paris", "0,20,40 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00 30T02:00:00+02:00"},
		{"Europe/Paris", "0 2-4 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00 29T04:00:00+02:00 30T02:00:00+02:00"},
		{"Europe/Paris", "30 * * * *", "2026-03-29T00:45:00+01:00", "29T01:30:00+01:00 29T03:30:00+02:00"},
		{"Europe/Paris", "*/30 2 * * *", "2026-03-28T12:00:00+01:00", "30T02:00:00+02:00"},
		{"Europe/Paris", "0 */2 * * *", "2026-03-29T00:00:00+01:00", "29T04:00:00+02:00"},
		{"Europe/Paris", "30 2 * * *", "2026-10-24T12:00:00+02:00", "25T02:30:00+02:00 26T02:30:00+01:00"},
		{"Europe/Paris", "30 2 * * *", "2026-10-25T02:10:00+01:00", "26T02:30:00+01:00"},
		{"Europe/Paris", "0 3 * * *", "2026-10-24T12:00:00+02:00", "25T03:00:00+01:00 26T03:00:00+01:00"},
		{"Europe/Paris", "30 * * * *", "2026-10-25T01:45:00+02:00", "25T02:30:00+02:00 25T02:30:00+01:00 25T03:30:00+01:00"},
		{"Europe/Paris", "*/20 * * * *", "2026-10-25T02:30:00+02:00", "25T02:40:00+02:00 25T02:00:00+01:00 25T02:20:00+01:00"},
		{"Europe/Paris", "@hourly", "2026-10-25T01:45:00+02:00", "25T02:00:00+02:00 25T02:00:00+01:00 25T03:00:00+01:00"},
		{"America/New_York", "15 2 * * *", "2026-03-08T00:00:00-05:00", "08T03:00:00-04:00 09T02:15:00-04:00"},
		{"America/New_York", "15 1 * * *", "2026-11-01T00:00:00-04:00", "01T01:15:00-04:00 02T01:15:00-05:00"},
		{"America/New_York", "15 * * * *", "2026-11-01T00:30:00-04:00", "01T01:15:00-04:00 01T01:15:00-05:00 01T02:15:00-05:00"},
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30", "04T02:30:00+11:00 05T02:15:00+11:00"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00", "05T01:45:00+11:00 06T01:45:00+10:30"},
		{"Australia/Lord_Howe", "*/15 * * * *", "2026-04-05T01:40:00+11:00", "05T01:45:00+11:00 05T01:30:00+10:30 05T01:45:00+10:30 05T02:00:00+10:30"},
		{"Australia/Lord_Howe", "*/15 * * * *", "2026-10-04T01:50:00+10:30", "04T02:30:00+11:00 04T02:45:00+11:00"},
		{"Asia/Tokyo", "30 2 * * *", "2026-03-28T12:00:00+09:00", "29T02:30:00+09:00 30T02:30:00+09:00"},
		{"Pacific/Apia", "0 3 * * *", "2011-12-29T12:00:00-10:00", "31T00:00:00+14:00 31T03:00:00+14:00"}, // had no 30 December
		{"UTC", "0 0 29 2 *", "2026-01-01T00:00:00Z", "29T00:00:00Z"},
		{"UTC", "0 0 29 feb */7", "2097-01-01T00:00:00Z", "29T00:00:00Z"}, // 2128: no 29 February in 2100
		{"UTC", "0 12 13 * fri", "2026-02-01T00:00:00Z", "06T12:00:00Z 13T12:00:00Z 20T12:00:00Z"},
		{"UTC", "0 12 1 * 5", "2026-09-24T12:00:00Z", "25T12:00:00Z 01T12:00:00Z 02T12:00:00Z"},
		{"UTC", "0 0 ? JAN Sat-Sun", "2026-01-01T00:00:00Z", "03T00:00:00Z 04T00:00:00Z 10T00:00:00Z"},
		{"UTC", "0 0 * * 7", "2026-01-01T00:00:00Z", "04T00:00:00Z 11T00:00:00Z"},
		{"UTC", "@yearly", "2026-01-01T00:00:00Z", "01T00:00:00Z"},
		{"UTC", "@weekly", "2026-01-01T00:00:00.5Z", "04T00:00:00Z"},
		{"UTC", "59 23 31 12 *", "1969-12-31T23:58:59Z", "31T23:59:00Z"},
		{"UTC", "* * * * *", "1969-12-31T23:58:58Z", "31T23:59:00Z 01T00:00:00Z"},
		{"UTC", "@every 90m", "2026-01-01T00:00:00Z", "01T01:30:00Z 01T03:00:00Z"},
		{"UTC", "@every 1s", "2026-01-01T00:00:00.25Z", "01T00:00:01Z 01T00:00:02Z"},
		{"UTC", "@every 1h", "1969-12-31T22:30:00Z", "31T23:00:00Z 01T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		s := parse(t, c.schedule, zone(t, c.zone))
		var got []string
		for range strings.Fields(c.want) {
			at = s.Next(at)
			got = append(got, at.Format("02T15:04:05Z07:00"))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s %q from %s:\n got %s\nwant %s", c.zone, c.schedule, c.from, g, c.want)
		}
	}
}

// moment is what the clock on the wall shows at a minute.
type moment struct {
	at                             int64 // Unix time
	minute, hour, day, month, wday int
	shown                          int64 // minutes, as a number that grows with what is shown
}

func shown(at time.Time) moment {
	_, offset := at.Zone()
	return moment{at.Unix(), at.Minute(), at.Hour(), at.Day(), int(at.Month()), int(at.Weekday()), (at.Unix() + int64(offset)) / 60}
}

// TestAWholeYearAgreesWithACronThatLooksEachMinute: the oracle wakes each minute, as
// cron does. What is steady runs when its fields match. Anything else is asked for each
// minute that the clock has shown since it looked last, and never for the same twice.
func TestAWholeYearAgreesWithACronThatLooksEachMinute(t *testing.T) {
	schedules := []struct {
		text   string
		steady bool
		due    func(m *moment) bool
	}{
		{"* * * * *", true, func(m *moment) bool { return true }},
		{"*/7 * * * *", true, func(m *moment) bool { return m.minute%7 == 0 }},
		{"30 */3 * * *", true, func(m *moment) bool { return m.minute == 30 && m.hour%3 == 0 }},
		{"*/10 1,2 * * *", true, func(m *moment) bool { return m.minute%10 == 0 && (m.hour == 1 || m.hour == 2) }},
		{"0 2 * * *", false, func(m *moment) bool { return m.minute == 0 && m.hour == 2 }},
		{"15,45 0-5 * * *", false, func(m *moment) bool { return (m.minute == 15 || m.minute == 45) && m.hour <= 5 }},
		{"1-59/2 1-3 * * 0", false, func(m *moment) bool { return m.minute%2 == 1 && m.hour >= 1 && m.hour <= 3 && m.wday == 0 }},
		{"30 2 8,29 3,10 sun", false, func(m *moment) bool {
			return m.minute == 30 && m.hour == 2 && (m.month == 3 || m.month == 10) && (m.day == 8 || m.day == 29 || m.wday == 0)
		}},
		{"0 0 */2 * mon", false, func(m *moment) bool { return m.minute == 0 && m.hour == 0 && m.day%2 == 1 && m.wday == 1 }},
		{"59 23 31 * *", false, func(m *moment) bool { return m.minute == 59 && m.hour == 23 && m.day == 31 }},
	}
	for _, name := range []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata"} {
		z := zone(t, name)
		begin := time.Date(2018, 1, 1, 0, 0, 0, 0, z) // Sao Paulo's clocks still changed, at midnight
		var year []moment
		for at := begin; at.Before(begin.AddDate(1, 0, 0)); at = at.Add(15 * time.Minute) { // no clock changes in between
			m := shown(at)
			for range 15 {
				year = append(year, m)
				m.at, m.minute, m.shown = m.at+60, m.minute+1, m.shown+1
			}
		}
		for _, c := range schedules {
			s := parse(t, c.text, z)
			next := s.Next(begin.Add(-time.Second))
			seen := year[0].shown - 1
			for i := range year {
				m := &year[i]
				due := false
				switch {
				case c.steady || m.shown == seen+1:
					due, seen = c.due(m), m.shown
				case m.shown > seen:
					for missed := seen + 1; missed <= m.shown; missed++ {
						skipped := shown(time.Unix(missed*60, 0).UTC())
						due = due || c.due(&skipped)
					}
					seen = m.shown
				}
				if due != (next.Unix() == m.at) {
					t.Fatalf("%s %q at %s: due %v; Next gave %s", name, c.text, time.Unix(m.at, 0).In(z), due, next)
				}
				if due {
					before := next
					if next = s.Next(before); !next.After(before) {
						t.Fatalf("%s %q: Next(%s) = %s is not later", name, c.text, before, next)
					}
				}
			}
		}
	}
}

func TestNextIsTheSameFromAnyTimeBeforeIt(t *testing.T) {
	z := zone(t, "Europe/Paris")
	for _, text := range []string{"30 2 * * *", "*/20 * * * *", "0 0 1 * *", "@every 7m", "15 2 25 10 *"} {
		s := parse(t, text, z)
		last := time.Time{}
		for at := time.Date(2026, 10, 24, 0, 0, 0, 0, z); at.Day() != 27; at = at.Add(97 * time.Second) {
			next := s.Next(at)
			if !next.After(at) || next.Before(last) {
				t.Fatalf("%q: Next(%s) = %s, and before %s", text, at, next, last)
			}
			if again := s.Next(next.Add(-time.Nanosecond)); !again.Equal(next) {
				t.Fatalf("%q: Next just before %s is %s", text, next, again)
			}
			last = next
		}
	}
}

func TestMistakesNameTheFieldAndWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `five fields, this one has 0: write minute, hour`,
		"0 3 * *":                               `five fields, this one has 4`,
		"0 0 3 * * *":                           `this one has 6: there are neither seconds nor years`,
		"60 * * * *":                            `the minute "60" has 60, which is out of range: write 0 to 59`,
		"0 24 * * *":                            `the hour "24" has 24, which is out of range: write 0 to 23`,
		"0 0 0 * *":                             `the day of month "0" has 0, which is out of range: write 1 to 31`,
		"0 0 * janury *":                        `the month "janury" has "janury", which is no number: write a number from 1 to 12 or a name`,
		"0 0 * * 8":                             `the day of week "8" has 8`,
		"-1 * * * *":                            `the minute "-1" has "", which is no number`,
		"1,,2 * * * *":                          `the minute "1,,2" has an empty place in its list`,
		"*/0 * * * *":                           `has a step of "0": write a whole number from 1 on`,
		"*/90 * * * *":                          `has a step of 90, longer than all its values: write "@every DURATION"`,
		"*/99999999999999999999 * * * *":        `longer than all its values`,
		"99999999999999999999 * * * *":          `out of range`,
		"5/10 * * * *":                          `has a step behind a single value: write where it ends: 5-59/10`,
		"0 0 * * fri-tue":                       `has the range fri-tue, which ends before it begins: write two ranges: fri-sat,sun-tue`,
		"0 22-4 * * *":                          `write two ranges: 22-23,0-4`,
		"? * * * *":                             `the minute "?" can't be ?`,
		"0 0 30 2 *":                            `the schedule is never due: day 30 does not exist in month 2`,
		"0 0 31 feb,apr,jun *":                  `never due`,
		"@reboot":                               `"@reboot" is no schedule`,
		"@daily 3":                              `no schedule`,
		"@every":                                `@every needs one duration`,
		"@every soon":                           `"soon" behind @every is no duration`,
		"@every 500ms":                          `not a whole number of seconds`,
		"@every -1h":                            `not a whole number of seconds`,
		strings.Repeat("1,", 600) + "1 * * * *": "too long",
	} {
		s, err := Parse(text, time.UTC)
		var e *Error
		if !errors.As(err, &e) || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
	if _, err := Parse("0 0 30 2 mon", time.UTC); err != nil {
		t.Errorf("a day of week makes it due: %v", err)
	}
}

// FuzzParse: whatever is written, a schedule is refused with words, or is due later
// and later.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"0 3 * * *", "*/7 1-5 29 feb sun", "@every 15m", "? ? ? ? ?", "0 0 31 4 *", "1-2/3,4 * * * *", "@weekly", "0 0 29 2 */7"} {
		f.Add(text, int64(1790000000))
	}
	z := zone(f, "Australia/Lord_Howe")
	f.Fuzz(func(t *testing.T, text string, from int64) {
		s, err := Parse(text, z)
		if err != nil {
			if s != nil || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("%q: %v, %v", text, s, err)
			}
			return
		}
		at := time.Unix(from%(1<<33), 0)
		for range 5 {
			next := s.Next(at)
			if !next.After(at) {
				t.Fatalf("%q: Next(%s) = %s", text, at, next)
			}
			at = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	z := zone(b, "Europe/Paris")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, z)
	for _, text := range []string{"*/5 * * * *", "0 3 * * *", "* * 29 2 */6", "0 0 29 2 */6"} {
		s := parse(b, text, z)
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				s.Next(at)
			}
		})
	}
}

// Package cron says when a schedule in the notation of crontab is due next.
package cron

import (
	"math/bits"
	"time"
)

// Schedule is a parsed schedule. It is immutable and safe for concurrent use.
type Schedule struct {
	zone  *time.Location
	every time.Duration // of @every; else 0

	minutes, hours, days, months, weekdays uint64 // bit n: n is allowed; Sunday is 0

	// anyDay: one of the two day fields is open, so that both are to match. Where both
	// are restricted a day that matches either is one.
	anyDay bool

	// steady: it follows the clock on the wall minute by minute, so that its times fall
	// out of a skipped hour and come twice in a repeated one. What comes at an hour that
	// was written down comes once instead, whatever the clocks do.
	steady bool
}

// wall is what a clock on the wall shows, as the seconds that it would be since the
// epoch if that clock were in Greenwich.
type wall int64

const (
	minute wall = 60
	hour   wall = 60 * minute
	day    wall = 24 * hour
)

// reach is how many years lie between two times of a schedule, at most: 29 February on
// a given day of the week, around a year such as 2100 that has no 29 February.
const reach = 41

// Next returns the first time after t at which the schedule is due; the zero time
// if there is none. Clocks that are put forward or back change it as Debian's cron
// does: with * as the minute or the hour it follows the clock, otherwise a time that is
// skipped comes right behind the gap, and one that is there twice comes the first time.
func (s *Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		step := int64(s.every / time.Second)
		n := t.Unix() / step
		if t.Unix() < 0 && t.Unix()%step != 0 {
			n--
		}
		return time.Unix((n+1)*step, 0).In(s.zone)
	}
	if s.steady {
		return s.nextSteady(t)
	}
	for w, ok := s.match(wallOf(t.In(s.zone)) + 1); ok; w, ok = s.match(w + minute) {
		if due := s.instant(w); due.After(t) {
			return due
		}
	}
	return time.Time{}
}

// nextSteady looks through the stretches between changes of the clock, of which there
// are a few a year.
func (s *Schedule) nextSteady(t time.Time) time.Time {
	at := t.In(s.zone)
	from := wallOf(at) + 1
	for year := at.Year(); at.Year() <= year+reach; {
		_, end := at.ZoneBounds()
		_, offset := at.Zone()
		w, ok := s.match(from)
		if !ok {
			break
		}
		if due := time.Unix(int64(w)-int64(offset), 0).In(s.zone); end.IsZero() || due.Before(end) {
			return due
		}
		at = end
		from = wallOf(at)
	}
	return time.Time{}
}

// instant is when clocks first show w, or the end of the gap that skips it.
func (s *Schedule) instant(w wall) time.Time {
	at := time.Unix(int64(w-2*day), 0).In(s.zone) // no clock is two days ahead
	for {
		_, end := at.ZoneBounds()
		_, offset := at.Zone()
		due := time.Unix(int64(w)-int64(offset), 0).In(s.zone)
		if !end.IsZero() && !due.Before(end) {
			at = end
			continue
		}
		if due.Before(at) {
			return at
		}
		return due
	}
}

func wallOf(t time.Time) wall {
	_, offset := t.Zone()
	return wall(t.Unix() + int64(offset))
}

// match is the first whole minute from w on that the fields allow.
func (s *Schedule) match(w wall) (wall, bool) {
	if over := (w%minute + minute) % minute; over > 0 {
		w += minute - over
	}
	date := time.Unix(int64(w), 0).UTC()
	clock := w - wall(time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, time.UTC).Unix())
	y, m, d := date.Date()
	first := clock
	for last := y + reach; y <= last; {
		if s.months&(1<<m) != 0 {
			if found, ok := s.matchIn(y, m, d, first); ok {
				return found, true
			}
		}
		if m++; m > time.December {
			y, m = y+1, time.January
		}
		d, first = 1, 0
	}
	return 0, false
}

// matchIn looks through a month from a day and a time of that day on.
func (s *Schedule) matchIn(y int, m time.Month, d int, clock wall) (wall, bool) {
	start := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	weekday := int(start.Weekday())
	for last := daysIn(y, m); d <= last; d++ {
		if s.allows(d, (weekday+d-1)%7) {
			if c, ok := s.matchClock(clock); ok {
				return wall(start.Unix()) + wall(d-1)*day + c, true
			}
		}
		clock = 0
	}
	return 0, false
}

func (s *Schedule) allows(day, weekday int) bool {
	byDay, byWeekday := s.days&(1<<day) != 0, s.weekdays&(1<<weekday) != 0
	if s.anyDay {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// matchClock is the first time of a day from c on.
func (s *Schedule) matchClock(c wall) (wall, bool) {
	h, m := int(c/hour), int(c%hour/minute)
	if s.hours&(1<<h) != 0 {
		if left := s.minutes >> m << m; left != 0 {
			return wall(h)*hour + wall(bits.TrailingZeros64(left))*minute, true
		}
	}
	left := s.hours >> (h + 1) << (h + 1)
	if left == 0 {
		return 0, false
	}
	return wall(bits.TrailingZeros64(left))*hour + wall(bits.TrailingZeros64(s.minutes))*minute, true
}

func daysIn(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }

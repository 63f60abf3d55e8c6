// Package cron says when a schedule in the notation of crontab is due next.
package cron

import "time"

// Schedule is a parsed schedule. It is immutable and safe for concurrent use.
type Schedule struct{}

// Parse reads five fields (minute, hour, day of month, month, day of week), one of
// @yearly @annually @monthly @weekly @daily @midnight @hourly, or "@every DURATION".
// Its times are those of a clock on the wall in zone.
func Parse(text string, zone *time.Location) (*Schedule, error) { return &Schedule{}, nil }

// Next returns the first time after t at which the schedule is due; the zero time
// if there is none.
func (s *Schedule) Next(t time.Time) time.Time { return time.Time{} }

package spec

import (
	"math"
	"sort"
	"time"
)

// maxCounted bounds how many attempts are counted.
const maxCounted = 1 << 20

// MostAttempts is the largest number of Attempts that can be used up within the window,
// math.MaxInt where there is none up to a million. A start takes any time from none on,
// and what was up for Reset goes on with short waits.
func (r Restart) MostAttempts() int {
	n := sort.Search(r.counted(), func(n int) bool { return !r.canBeUsedUp(n + 1) })
	if n == r.counted() {
		return math.MaxInt
	}
	return n
}

// counted keeps the sum of as many waits, each no longer than the window, within reach.
func (r Restart) counted() int { return int(min(maxCounted, math.MaxInt64/int64(r.Within)/4)) }

// canBeUsedUp: from a failure on, n restarts that fail too may fit into the window. The
// failure that finds the first of them still inside it uses them up.
func (r Restart) canBeUsedUp(n int) bool {
	if r.Backoff == 0 || r.Max == 0 || r.Reset == 0 {
		return true
	}
	n = max(1, min(n, r.counted()))
	if r.waits(n) < r.Within {
		return true
	}
	// Where the back-off is forgotten in between, the restarts fall into rows. Rows of
	// equal length are best, since a wait is never shorter than the one before it; and
	// for the same reason the time falls and then rises with the number of rows.
	reset := min(r.Reset, r.Within)
	takes := func(rows int) time.Duration {
		length, longer := n/rows, n%rows
		return span(rows-longer)*r.waits(length) + span(longer)*r.waits(length+1) + span(rows-1)*reset
	}
	best := 1 + sort.Search(n-1, func(i int) bool { return takes(i+2) >= takes(i+1) })
	return takes(best) < r.Within
}

func span(n int) time.Duration { return time.Duration(n) }

// waits is how long n restarts in a row wait together. The first does not wait; a wait
// longer than the window counts as one of its length, which is as good.
func (r Restart) waits(n int) (sum time.Duration) {
	wait, longest := min(r.Backoff, r.Within), min(r.Max, r.Within)
	for i := 1; i < n; i++ {
		if wait >= longest {
			return sum + span(n-i)*longest
		}
		sum += wait
		if wait > longest/2 {
			wait = longest
		} else {
			wait *= 2
		}
	}
	return sum
}

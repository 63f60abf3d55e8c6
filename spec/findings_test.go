package spec

import "testing"

func TestOfTwoWordsThatAreEquallyNearTheOrderOfTheListDecidesNothing(t *testing.T) {
	for _, words := range [][]string{{"abc", "abe", "x"}, {"x", "abe", "abc"}} {
		if got := Nearest("abd", words); got != "abc" {
			t.Errorf("of %q the nearest is %q", words, got)
		}
	}
}

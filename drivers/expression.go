package drivers

import (
	"regexp"
	"sync"
)

// Expression is a regular expression that is compiled when it is first used: an agent
// without a resource of the kind pays nothing for it. It panics then where it is none.
func Expression(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

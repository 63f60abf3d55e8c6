package agent

import (
	"fmt"

	"github.com/svcctl/svcctl/spec"
)

// standing is how a directory stands to the revision in force.
type standing string

// The standings of a directory.
const (
	standPublish  standing = "publish"  // its set may become the next revision
	standEqual    standing = "equal"    // it is the revision in force; its base moves there
	standBehind   standing = "behind"   // it holds an older revision: nothing is published
	standConflict standing = "conflict" // it changed from a revision that is not in force any more
)

// verdict is what becomes of a directory's set, and why.
type verdict struct {
	Standing standing
	Reason   string // for people; says what to do where something is to be done
}

// decideRevision compares a directory with the revisions: its digest, the revision
// that it last equalled (nil: unknown), the one in force (nil: none yet) and those
// that are kept. It is the rule that keeps a late pull from reverting anybody.
func decideRevision(dir spec.Digest, base, current *Revision, kept []Revision) verdict {
	const apply = "svcctl apply DIR makes the directory the new revision"
	if current == nil {
		return verdict{standPublish, "there is no revision yet: the directory becomes the first"}
	}
	if dir == current.Digest {
		return verdict{standEqual, fmt.Sprintf("the directory equals revision %d, which is in force", current.Number)}
	}
	if base == nil {
		return verdict{standConflict, fmt.Sprintf("the directory differs from revision %d, which is in force, and never equalled a revision: compare them, then %s", current.Number, apply)}
	}
	if base.Number == current.Number {
		return verdict{standPublish, fmt.Sprintf("the directory changed since revision %d, which is in force", current.Number)}
	}
	if base.Number < current.Number {
		// The youngest wins: a set that was reverted to is kept twice.
		for i := len(kept) - 1; i >= 0; i-- {
			if k := kept[i]; k.Digest == dir {
				return verdict{standBehind, fmt.Sprintf("the directory holds revision %d, older than revision %d, which is in force: update it (git pull), or %s", k.Number, current.Number, apply)}
			}
		}
	}
	return verdict{standConflict, fmt.Sprintf("the directory was changed from revision %d, but revision %d is in force: merge the two (svcctl spec diff %d %d), or %s", base.Number, current.Number, base.Number, current.Number, apply)}
}

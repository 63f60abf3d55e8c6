package spec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// doubter is implemented by the structs of the language that see of their own arguments
// what can hardly be meant, and is no mistake.
type doubter interface{ doubts() []doubt }

type doubt struct {
	code   string
	field  string   // that is pointed at
	reads  []string // the arguments that it is drawn from, this one too
	detail string
	args   []any
}

// doubts asks the structs. What is mistaken, or not known yet, is not judged.
func (x *evaluation) doubts(d *decoding) {
	for _, p := range d.parts {
		asked, is := p.value.Addr().Interface().(doubter)
		if !is {
			continue
		}
		for _, u := range asked.doubts() {
			if !slices.ContainsFunc(u.reads, p.missing) {
				x.report(u.code, d.placeOf(u.field), u.detail, u.args...)
			}
		}
	}
}

func (a *checkArguments) doubts() []doubt {
	if !a.Timeout.Set || a.Every <= 0 || a.Timeout.D != a.Every {
		return nil
	}
	return []doubt{{codeNoPause, "timeout", []string{"timeout", "every"}, fmt.Sprintf("Write less, such as %q, or a longer every.", (a.Every / 2).String()), nil}}
}

func (b *restartBlock) doubts() []doubt {
	r := Restart(*b)
	if r.Attempts <= 0 || r.Within <= 0 || r.Backoff > r.Max || r.canBeUsedUp(r.Attempts) {
		return nil
	}
	return []doubt{{codeNeverUsedUp, "attempts", []string{"attempts", "within", "backoff", "max", "reset"},
		fmt.Sprintf("With its waits (backoff %s, at most %s) at most %d restarts fit in: write fewer attempts, a longer within, or shorter waits.",
			r.Backoff, r.Max, r.MostAttempts()), []any{r.Attempts, r.Within}}}
}

// deprecated says of an argument that is written what to write instead.
func (x *evaluation) deprecated(f *Field, a *hclsyntax.Attribute) {
	if f.Deprecated != "" {
		x.report(codeDeprecated, a.NameRange, f.Deprecated, f.Name)
	}
}

// notStarted notes that an instance is never up, where that is certain, and whether it
// holds up what is after it: an optional one that does not come is not waited for.
func (d *resourceDraft) notStarted(key string, own *part) {
	says := func(name string) bool {
		f := own.schema.Field(name)
		return f != nil && own.value.FieldByIndex(f.Index).Bool()
	}
	if !says("disabled") || own.missing("disabled") {
		return
	}
	if d.off == nil {
		d.off = map[string]bool{}
	}
	d.off[key] = !says("optional") && !own.missing("optional")
}

// afterOff says what an instance waits for in vain.
func (x *evaluation) afterOff(d *resourceDraft, own *part, after []Address) {
	if own.missing("disabled") || own.value.FieldByIndex(own.schema.Field("disabled").Index).Bool() {
		return
	}
	for _, edge := range d.edges {
		target := edge.to
		for _, key := range target.keys {
			res := target.instance(key)
			if !target.off[key] || res == nil || !slices.Contains(after, res.Address) {
				continue
			}
			never := "started"
			if d.schema.Task {
				never = "run"
			}
			x.report(codeAfterOff, edge.at, fmt.Sprintf(
				"%s waits for it, and is never %s. It is disabled at %s: remove that, or the reference, or disable %s too. With optional = true there it holds up nothing.",
				d.local, never, place(target.block.Body.Attributes["disabled"].NameRange), d.local), res.Address.Local())
			break
		}
	}
}

package spec

import (
	"math"
	"reflect"
	"slices"
)

// problems are those that a struct sees in itself. What was mistaken, or is not known
// yet, is not there to be judged: a problem counts only if it does not depend on it.
// That is tried out, with other values in the place of each missing one.
func (p *part) problems() []Problem {
	v, is := p.value.Addr().Interface().(Validator)
	if !is {
		return nil
	}
	found := slices.DeleteFunc(v.Validate(), func(m Problem) bool { return p.missing(m.Field) })
	if len(found) == 0 || p.complete() {
		return found
	}
	for i := range p.schema.Fields {
		if f := &p.schema.Fields[i]; p.missing(f.Name) {
			found = p.lasting(found, f.Index, alternatives(p.value.FieldByIndex(f.Index), f))
		}
	}
	for i := range p.schema.Blocks {
		if b := &p.schema.Blocks[i]; p.missing(b.Name) {
			found = p.lasting(found, b.Index, []reflect.Value{reflect.Zero(p.value.FieldByIndex(b.Index).Type())})
		}
	}
	return found
}

func (p *part) missing(name string) bool { return p.failed.has(name) || p.unknown.has(name) }

// complete says whether all that was written is there.
func (p *part) complete() bool { return len(p.failed)+len(p.unknown) == 0 }

// lasting are the problems that there are also with each of the values in a field.
func (p *part) lasting(found []Problem, index []int, values []reflect.Value) []Problem {
	for _, value := range values {
		if len(found) == 0 {
			return nil
		}
		other := reflect.New(p.schema.Type)
		other.Elem().Set(p.value)
		other.Elem().FieldByIndex(index).Set(value)
		now := other.Interface().(Validator).Validate()
		found = slices.DeleteFunc(found, func(m Problem) bool {
			return !slices.ContainsFunc(now, func(n Problem) bool { return n.Field == m.Field && n.Summary == m.Summary })
		})
	}
	return found
}

// alternatives are values that differ as much as rules can tell: none, each of the
// words, and the ends of a range.
func alternatives(field reflect.Value, f *Field) []reflect.Value {
	t := field.Type()
	out := []reflect.Value{reflect.Zero(t)}
	add := func(v any) { out = append(out, reflect.ValueOf(v).Convert(t)) }
	if t == promiseType {
		add(Promise{Set: true})
		add(Promise{Set: true, D: math.MaxInt64})
		return out
	}
	switch t.Kind() {
	case reflect.String:
		for _, word := range f.OneOf {
			add(word)
		}
		if len(f.OneOf) == 0 { // a rule that misses it may be silent once it is there
			add("x")
		}
	case reflect.Bool:
		add(true)
	case reflect.Int, reflect.Int64:
		add(1)
		add(int64(math.MaxInt64))
	case reflect.Float64:
		add(1.0)
		add(math.MaxFloat64)
	case reflect.Slice:
		add(make([]string, 1))
	case reflect.Map: // no rule compares what a map holds with another argument
	default:
		panic("internal error: an argument of type " + t.String())
	}
	return out
}

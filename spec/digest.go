package spec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
)

// encoding is a canonical form of evaluated values, for digests. Arguments that have
// their default are left out, so that a program that learns a new argument does not
// change the digest of what runs.
type encoding struct {
	loader *Loader
	buf    []byte
	fixed  []byte // the same without what can change in place
	live   int    // more than 0: what is written now can, or fixed is not wanted
}

func (e *encoding) text(s string) {
	e.buf = binary.AppendUvarint(e.buf, uint64(len(s)))
	e.buf = append(e.buf, s...)
	if e.live == 0 {
		e.fixed = binary.AppendUvarint(e.fixed, uint64(len(s)))
		e.fixed = append(e.fixed, s...)
	}
}

func (e *encoding) number(n int64) {
	e.buf = binary.AppendVarint(e.buf, n)
	if e.live == 0 {
		e.fixed = binary.AppendVarint(e.fixed, n)
	}
}

func (e *encoding) config(s *Schema, v reflect.Value) {
	e.text(s.Name)
	def := e.loader.factsOf(s).defaults
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.FieldByIndex(f.Index)
		if equalValues(fv, def.FieldByIndex(f.Index)) {
			continue
		}
		if f.Live {
			e.live++
		}
		e.text(f.Name)
		e.value(fv)
		if f.Live {
			e.live--
		}
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		fv := v.FieldByIndex(b.Index)
		if b.Live {
			e.live++
		}
		if b.Many {
			e.number(int64(fv.Len()))
			for j := range fv.Len() {
				e.config(b.Schema, fv.Index(j))
			}
		} else if !fv.IsNil() {
			e.text(b.Name)
			e.config(b.Schema, fv.Elem())
		}
		if b.Live {
			e.live--
		}
	}
}

func equalValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Int, reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	}
	if a.Comparable() {
		return a.Equal(b)
	}
	if (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len() == 0 && b.Len() == 0 {
		return a.IsNil() == b.IsNil()
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (e *encoding) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		e.text(v.String())
	case reflect.Bool:
		if v.Bool() {
			e.number(1)
		} else {
			e.number(0)
		}
	case reflect.Int, reflect.Int64:
		e.number(v.Int())
	case reflect.Float64:
		e.number(int64(math.Float64bits(v.Float())))
	case reflect.Slice:
		e.number(int64(v.Len()))
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Map:
		keys := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			keys = append(keys, it.Key().String())
		}
		slices.Sort(keys)
		e.number(int64(len(keys)))
		for _, k := range keys {
			e.text(k)
			e.value(v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key())))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			e.value(v.Field(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			e.number(0)
			return
		}
		e.number(1)
		e.value(v.Elem())
	default:
		panic(fmt.Sprintf("internal error: a %s has no canonical form", v.Type()))
	}
}

func digestOf(encoded []byte) Digest {
	h := sha256.Sum256(encoded)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], h[:])
	return Digest(text[:])
}

// encodings are those that are not in use, for their memory.
var encodings = sync.Pool{New: func() any { return &encoding{} }}

func (r *run) newEncoding() *encoding {
	e := encodings.Get().(*encoding)
	e.buf, e.fixed, e.live, e.loader = e.buf[:0], e.fixed[:0], 1, r.Loader
	return e
}

func (e *encoding) free() {
	e.loader = nil
	encodings.Put(e)
}

// digestResource gives a resource and its checks their digests.
func (r *run) digestResource(res *Resource, config reflect.Value) {
	e := r.newEncoding()
	e.live = 0
	e.config(res.Schema, config)
	res.Digest, res.Fixed = digestOf(e.buf), digestOf(e.fixed)
	e.free()
}

func (r *run) digestCheck(c *Check, config reflect.Value) {
	e := r.newEncoding()
	e.config(c.Schema, config)
	c.Digest = digestOf(e.buf)
	e.free()
}

// digestService gives a service its digest: of all that is declared, but not of the
// places where.
func (r *run) digestService(s *Service) {
	e := r.newEncoding()
	for _, t := range []string{s.FullName, s.Description, string(s.Topology), string(s.Orchestrate), string(s.OnFailure), s.Placement.By} {
		e.text(t)
	}
	e.value(reflect.ValueOf(s.Nodes == nil))
	for _, v := range []any{&s.Nodes, &s.Requires, &s.With, &s.Apart, &s.Count, &s.MaxPerNode, &s.Memory, &s.CPU, &s.RTO, &s.RPO, &s.MaximumLag, &s.Placement, &s.Reload, &s.Drills} {
		e.value(reflect.ValueOf(v).Elem())
	}
	for _, res := range s.Resources {
		e.text(string(res.Address))
		e.text(string(res.Digest))
		for _, a := range res.After {
			e.text(string(a))
		}
		e.text(res.OnStuck)
		for _, v := range []any{&res.Hooks, &res.Restart, &res.Timeouts, &res.Optional, &res.Standby, &res.Monitor, &res.Disabled, &res.Tags, &res.ReadyByChecks} {
			e.value(reflect.ValueOf(v).Elem())
		}
		e.number(int64(len(res.Checks)))
		for _, c := range res.Checks {
			e.text(c.Name)
			e.text(string(c.Digest))
			for _, v := range []any{&c.Every, &c.Timeout, &c.Fall, &c.Rise, &c.OnFall} {
				e.value(reflect.ValueOf(v).Elem())
			}
		}
	}
	if len(s.Tasks) > 0 { // a service without has the digest that it had before there were tasks
		e.number(int64(len(s.Tasks)))
	}
	for _, t := range s.Tasks {
		e.text(string(t.Address))
		e.text(string(t.Digest))
		for _, v := range []any{&t.After, &t.Disabled, &t.Tags, &t.Task.Text, &t.Task.Zone, &t.Task.Spread, &t.Task.Timeout, &t.Task.Missed} {
			e.value(reflect.ValueOf(v).Elem())
		}
	}
	s.Digest = digestOf(e.buf)
	e.free()
}

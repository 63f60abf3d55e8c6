package spec

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// mistake is what is wrong with a value.
type mistake struct {
	code    string
	args    []any
	detail  string
	element int    // of a list; -1: the whole
	key     string // of a map; "": the whole
}

func wrong(code, detail string, args ...any) *mistake {
	return &mistake{code: code, args: args, detail: detail, element: -1}
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	promiseType  = reflect.TypeFor[Promise]()
	bytesType    = reflect.TypeFor[Bytes]()
)

// typeName says what a value must be, in the words of who writes HCL.
func typeName(t cty.Type) string {
	switch {
	case t == cty.String:
		return "text"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsListType():
		return "a list of texts"
	case t.IsMapType():
		return "a map of texts"
	case t.IsTupleType(), t.IsSetType():
		return "a list"
	case t.IsObjectType():
		return "a map"
	}
	return t.FriendlyName()
}

func exampleOf(f *Field) string {
	switch {
	case len(f.OneOf) > 0:
		return fmt.Sprintf("%s = %q", f.Name, f.OneOf[0])
	case f.Type.IsListType():
		return f.Name + ` = ["…"]`
	case f.Type.IsMapType():
		return f.Name + ` = { … }`
	case f.Type == cty.String:
		return f.Name + ` = "…"`
	}
	return f.Name + " = …"
}

func wrongType(f *Field, v cty.Value) *mistake {
	detail := fmt.Sprintf("It is %s.", typeName(v.Type()))
	text := v.Type() == cty.String && v.IsKnown() && !v.IsNull()
	switch {
	case f.Type.IsListType() && text:
		detail = fmt.Sprintf("Write %s = [%s].", f.Name, asList(v))
	case f.Type == cty.String && only(v) != "" && !calledSecret(f.Name):
		detail = fmt.Sprintf("It is a list: write %s = %q.", f.Name, only(v))
	case f.Type.IsMapType() && v.IsWhollyKnown():
		if m := asMap(v); m != "" {
			detail = fmt.Sprintf("Write %s = { %s }.", f.Name, m)
		}
	case f.Type == cty.Number && text:
		detail = "It is text: write a number without quotes."
	case f.Type == cty.Bool && text && literalWords[strings.ToLower(v.AsString())] != "":
		detail = fmt.Sprintf("Write %s = %s.", f.Name, literalWords[strings.ToLower(v.AsString())])
	}
	return wrong(codeType, detail, f.Name, typeName(f.Type))
}

// otherThanText finds a value of a map that can't be text, and says what it is.
func otherThanText(f *Field, v cty.Value) (key, of string) {
	if !f.Type.IsMapType() || !v.Type().IsObjectType() {
		return "", ""
	}
	for it := v.ElementIterator(); it.Next(); {
		if k, e := it.Element(); !e.Type().IsPrimitiveType() && !e.IsNull() {
			return k.AsString(), typeName(e.Type())
		}
	}
	return "", ""
}

// only is the one text of a list, "" of anything else.
func only(v cty.Value) string {
	if !v.IsWhollyKnown() || v.IsNull() || !v.Type().IsTupleType() || v.LengthInt() != 1 {
		return ""
	}
	e := v.Index(cty.Zero)
	if e.IsNull() || e.Type() != cty.String || holdsMark(e.AsString()) || inWord(e.AsString(), false) != "" {
		return ""
	}
	return shortened(e)
}

// asList writes text as the list that was meant: of its words, where it has several.
func asList(v cty.Value) string {
	s := shortened(v)
	words := strings.Fields(s)
	if len(words) == 1 && strings.Contains(s, ",") {
		words = strings.FieldsFunc(s, func(c rune) bool { return c == ',' })
	}
	if len(words) < 2 || strings.ContainsAny(s, `"'…`) {
		words = []string{s}
	}
	return quoted(withoutSecrets(words))
}

// asMap writes a list of "NAME=value" as a map, "" where it is something else.
func asMap(v cty.Value) string {
	if v.IsNull() || !v.Type().IsTupleType() || v.LengthInt() == 0 || v.LengthInt() > listed {
		return ""
	}
	var pairs []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || e.Type() != cty.String || holdsMark(e.AsString()) {
			return ""
		}
		name, value, is := strings.Cut(e.AsString(), "=")
		if !is || !validName(name, false) {
			return ""
		}
		if inTheOpen(name, value) != "" {
			value = "…"
		}
		pairs = append(pairs, fmt.Sprintf("%s = %q", name, value))
	}
	return strings.Join(pairs, ", ")
}

var unitPattern = regexp.MustCompile(`^\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([A-Za-zµ]*)\s*$`)

// timeUnits are what people call the units of time, and what they are of the ones there are.
var timeUnits = map[string]struct {
	times float64
	unit  string
}{
	"": {1, "s"}, "msec": {1, "ms"}, "msecs": {1, "ms"}, "millisecond": {1, "ms"}, "milliseconds": {1, "ms"}, "ms": {1, "ms"},
	"s": {1, "s"}, "sec": {1, "s"}, "secs": {1, "s"}, "second": {1, "s"}, "seconds": {1, "s"},
	"m": {1, "m"}, "min": {1, "m"}, "mins": {1, "m"}, "minute": {1, "m"}, "minutes": {1, "m"},
	"h": {1, "h"}, "hr": {1, "h"}, "hrs": {1, "h"}, "hour": {1, "h"}, "hours": {1, "h"},
	"d": {24, "h"}, "day": {24, "h"}, "days": {24, "h"}, "w": {168, "h"}, "week": {168, "h"}, "weeks": {168, "h"},
}

// durationHint is what to write instead of text that is no duration.
func durationHint(s string) string {
	if m := unitPattern.FindStringSubmatch(s); m != nil {
		n, err := strconv.ParseFloat(m[1], 64)
		if u, is := timeUnits[strings.ToLower(m[2])]; is && err == nil {
			what := "the units are ms, s, m and h."
			if m[2] == "" {
				what = "without a unit nobody knows. The units are ms, s, m and h."
			}
			return fmt.Sprintf("Write \"%s%s\": %s", strconv.FormatFloat(n*u.times, 'f', -1, 64), u.unit, what)
		}
	}
	return `Write a number and a unit, such as "10s", "1m30s" or "500ms".`
}

// sizeHint is what to write instead of text that is no size.
func sizeHint(s string) string {
	if m := unitPattern.FindStringSubmatch(s); m != nil && m[2] != "" && sizePattern.MatchString(m[1]+strings.ToUpper(m[2][:1])) {
		switch strings.ToLower(m[2][1:]) {
		case "", "b", "ib", "byte", "bytes":
			return fmt.Sprintf("Write \"%s%s\".", m[1], strings.Trim(strings.ToUpper(m[2][:1]), "B"))
		}
	}
	return `Write a number of bytes, or one with a unit: "64K", "512M", "10G", "1T" (powers of 1024).`
}

func shortened(v cty.Value) string {
	if !v.IsKnown() || v.IsNull() {
		return "…"
	}
	s := Redact(v.AsString())
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// checkType is what can be said about a value that is not known yet.
func checkType(f *Field, v cty.Value) *mistake {
	if _, err := convert.Convert(v, f.Type); err != nil {
		return wrongType(f, v)
	}
	return nil
}

// setValue converts a known value, which is not null, and puts it into a field.
func setValue(rv reflect.Value, f *Field, v cty.Value) *mistake {
	m := convertValue(rv, f, v)
	if m == nil && f.Positive && rv.IsZero() {
		return wrong(codeNumber, "Leave it out, or write more.", f.Name, "more than 0")
	}
	return m
}

func convertValue(rv reflect.Value, f *Field, v cty.Value) *mistake {
	switch rv.Type() {
	case durationType, promiseType:
		return setDuration(rv, f, v)
	case bytesType:
		return setBytes(rv, f, v)
	}
	c, err := convert.Convert(v, f.Type)
	if err != nil {
		m := wrongType(f, v)
		if key, of := otherThanText(f, v); key != "" {
			m.key, m.detail = key, fmt.Sprintf("The value of %q is %s.", key, of)
		}
		if path, ok := err.(cty.PathError); ok && len(path.Path) > 0 {
			if step, ok := path.Path[0].(cty.IndexStep); ok && step.Key.Type() == cty.Number {
				i, _ := step.Key.AsBigFloat().Int64()
				m.element = int(i)
				m.detail = fmt.Sprintf("Element %d is not text.", i+1)
			}
		}
		return m
	}
	switch rv.Kind() {
	case reflect.String:
		s := c.AsString()
		if m := checkWord(f, s); m != nil {
			return m
		}
		rv.SetString(s)
	case reflect.Bool:
		rv.SetBool(c.True())
	case reflect.Int, reflect.Int64:
		n, accuracy := c.AsBigFloat().Int64()
		if accuracy != big.Exact || (rv.Kind() == reflect.Int && int64(int(n)) != n) {
			return wrong(codeNumber, "Write it without a fraction.", f.Name, "a whole number within reach")
		}
		rv.SetInt(n)
	case reflect.Float64:
		n, _ := c.AsBigFloat().Float64()
		if math.IsInf(n, 0) {
			return wrong(codeNumber, "It is too large.", f.Name, "a finite number")
		}
		rv.SetFloat(n)
	case reflect.Slice:
		return setList(rv, f, c)
	case reflect.Map:
		return setMap(rv, f, c)
	default:
		panic(fmt.Sprintf("internal error: argument %s has type %s", f.Name, rv.Type()))
	}
	return nil
}

func checkWord(f *Field, s string) *mistake {
	if len(f.OneOf) == 0 {
		return nil
	}
	for _, w := range f.OneOf {
		if w == s {
			return nil
		}
	}
	detail := didYouMean(s, f.OneOf)
	if meant(s, f.OneOf) != "" && len(f.OneOf) <= 8 {
		detail += " " + thereIs(f.OneOf)
	}
	return wrong(codeWord, detail, strconv.Quote(s), f.Name)
}

// textsOf are the elements of a written list that holds nothing but text that is known
// and no secret, as nearly all do.
func textsOf(v cty.Value) ([]string, bool) {
	if !v.Type().IsTupleType() || v.IsMarked() || !v.IsKnown() || v.IsNull() {
		return nil, false
	}
	out := make([]string, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.Type() != cty.String || e.IsMarked() || !e.IsKnown() || e.IsNull() || holdsMark(e.AsString()) {
			return nil, false
		}
		out = append(out, e.AsString())
	}
	return out, true
}

func setTexts(rv reflect.Value, f *Field, texts []string) *mistake {
	out := reflect.MakeSlice(rv.Type(), len(texts), len(texts))
	for i, s := range texts {
		if m := checkWord(f, s); m != nil {
			m.element = i
			return m
		}
		out.Index(i).SetString(s)
	}
	rv.Set(out)
	return nil
}

func setList(rv reflect.Value, f *Field, c cty.Value) *mistake {
	texts := make([]string, 0, c.LengthInt())
	for it := c.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() {
			if m := setTexts(rv, f, texts); m != nil {
				return m
			}
			i := len(texts)
			return &mistake{code: codeNull, args: []any{f.Name}, detail: fmt.Sprintf("Element %d is null: leave it out, or use compact().", i+1), element: i}
		}
		texts = append(texts, e.AsString())
	}
	return setTexts(rv, f, texts)
}

func setMap(rv reflect.Value, f *Field, c cty.Value) *mistake {
	out := reflect.MakeMapWithSize(rv.Type(), c.LengthInt())
	for it := c.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if e.IsNull() {
			m := wrong(codeNull, fmt.Sprintf("The value of %q is null: leave it out.", k.AsString()), f.Name)
			m.key = k.AsString()
			return m
		}
		out.SetMapIndex(reflect.ValueOf(k.AsString()).Convert(rv.Type().Key()), reflect.ValueOf(e.AsString()).Convert(rv.Type().Elem()))
	}
	rv.Set(out)
	return nil
}

func setDuration(rv reflect.Value, f *Field, v cty.Value) *mistake {
	switch v.Type() {
	case cty.Number:
		n := numberText(v)
		return wrong(codeDuration, fmt.Sprintf("Write \"%ss\" for seconds; the units are ms, s, m and h.", n), n)
	case cty.String:
	default:
		return wrong(codeType, `Write text such as "10s".`, f.Name, "a duration")
	}
	s := v.AsString()
	d, err := time.ParseDuration(s)
	if err != nil {
		return wrong(codeDuration, durationHint(s), shortened(v))
	}
	if d < 0 {
		return wrong(codeNumber, fmt.Sprintf("Write %q.", (-d).String()), f.Name, "0s or longer")
	}
	if rv.Type() == promiseType {
		rv.Set(reflect.ValueOf(Promise{Set: true, D: d}))
		return nil
	}
	rv.SetInt(int64(d))
	return nil
}

func numberText(v cty.Value) string {
	f, _ := v.AsBigFloat().Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,9})?)([KMGTP]?)(?:i?B)?$`)

func setBytes(rv reflect.Value, f *Field, v cty.Value) *mistake {
	switch v.Type() {
	case cty.Number:
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact || n < 0 {
			return wrong(codeNumber, `Write a number of bytes, or text such as "512M".`, f.Name, "a whole number of bytes")
		}
		rv.SetInt(n)
		return nil
	case cty.String:
	default:
		return wrong(codeType, `Write a number of bytes, or text such as "512M".`, f.Name, "a size")
	}
	m := sizePattern.FindStringSubmatch(v.AsString())
	if m == nil {
		return wrong(codeSize, sizeHint(v.AsString()), shortened(v))
	}
	n, _, err := big.ParseFloat(m[1], 10, 128, big.ToNearestEven)
	if err != nil {
		return wrong(codeSize, `Write a size such as "512M".`, shortened(v))
	}
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}[m[2]]
	n.SetMantExp(n, shift)
	bytes, accuracy := n.Int64()
	if accuracy != big.Exact && bytes == math.MaxInt64 {
		return wrong(codeNumber, "It is too large.", f.Name, "a size within reach")
	}
	rv.SetInt(bytes)
	return nil
}

// toCty gives a field back to expressions.
func toCty(rv reflect.Value, t cty.Type) cty.Value {
	switch rv.Type() {
	case durationType:
		return cty.StringVal(time.Duration(rv.Int()).String())
	case promiseType:
		return cty.StringVal(rv.Interface().(Promise).D.String())
	case bytesType:
		return cty.StringVal(strconv.FormatInt(rv.Int(), 10))
	}
	switch rv.Kind() {
	case reflect.String:
		return cty.StringVal(rv.String())
	case reflect.Bool:
		return cty.BoolVal(rv.Bool())
	case reflect.Int, reflect.Int64:
		return cty.NumberIntVal(rv.Int())
	case reflect.Float64:
		return cty.NumberFloatVal(rv.Float())
	case reflect.Slice:
		if rv.Len() == 0 {
			return cty.ListValEmpty(cty.String)
		}
		vals := make([]cty.Value, rv.Len())
		for i := range vals {
			vals[i] = cty.StringVal(rv.Index(i).String())
		}
		return cty.ListVal(vals)
	case reflect.Map:
		if rv.Len() == 0 {
			return cty.MapValEmpty(cty.String)
		}
		vals := make(map[string]cty.Value, rv.Len())
		for it := rv.MapRange(); it.Next(); {
			vals[it.Key().String()] = cty.StringVal(it.Value().String())
		}
		return cty.MapVal(vals)
	}
	panic(fmt.Sprintf("internal error: a field of type %s can't be read (%s)", rv.Type(), t.FriendlyName()))
}

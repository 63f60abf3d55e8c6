package spec

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are those whose value follows from their arguments alone. file and secret
// are added for each file, since it remembers what it has read.
var functions = guardFunctions(map[string]function.Function{
	"abs": boundedNumbers(stdlib.AbsoluteFunc), "ceil": boundedNumbers(stdlib.CeilFunc), "floor": boundedNumbers(stdlib.FloorFunc),
	"max": boundedNumbers(stdlib.MaxFunc), "min": boundedNumbers(stdlib.MinFunc), "parseint": stdlib.ParseIntFunc, "signum": stdlib.SignumFunc,

	"upper": stdlib.UpperFunc, "lower": stdlib.LowerFunc, "title": stdlib.TitleFunc,
	"join": stdlib.JoinFunc, "split": stdlib.SplitFunc, "replace": stdlib.ReplaceFunc,
	"regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "strrev": stdlib.ReverseFunc,
	"substr": stdlib.SubstrFunc, "chomp": stdlib.ChompFunc,
	"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimsuffix": stdlib.TrimSuffixFunc, "trimspace": stdlib.TrimSpaceFunc,
	"startswith": test2(strings.HasPrefix), "endswith": test2(strings.HasSuffix), "strcontains": test2(strings.Contains),
	"format": boundedFormat(stdlib.FormatFunc), "formatlist": boundedFormat(stdlib.FormatListFunc),

	"concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "length": lengthFunc,
	"merge": stdlib.MergeFunc, "keys": stdlib.KeysFunc, "values": stdlib.ValuesFunc, "lookup": stdlib.LookupFunc,
	"element": stdlib.ElementFunc, "range": boundedNumbers(stdlib.RangeFunc), "zipmap": stdlib.ZipmapFunc,
	"coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc,
	"distinct": stdlib.DistinctFunc, "flatten": stdlib.FlattenFunc, "reverse": stdlib.ReverseListFunc,
	"sort": stdlib.SortFunc, "slice": stdlib.SliceFunc, "chunklist": stdlib.ChunklistFunc,
	"setunion": stdlib.SetUnionFunc, "setintersection": stdlib.SetIntersectionFunc,
	"setsubtract": stdlib.SetSubtractFunc, "setproduct": boundedProduct,

	"tostring": stdlib.MakeToFunc(cty.String), "tonumber": boundedNumbers(stdlib.MakeToFunc(cty.Number)), "tobool": stdlib.MakeToFunc(cty.Bool),
	"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"try":   tryfunc.TryFunc, "can": tryfunc.CanFunc,

	"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": boundedNumbers(stdlib.JSONDecodeFunc), "csvdecode": stdlib.CSVDecodeFunc,
	"base64encode": text(func(s string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
	"base64decode": text(decodeBase64),
	"sha256":       text(func(s string) (string, error) { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]), nil }),
	"md5":          text(func(s string) (string, error) { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]), nil }),

	"hostport": hostPort, "cidrhost": cidrHost, "cidrnetmask": text(cidrNetmask),
	"cidrsubnet": cidrSubnet, "cidrcontains": cidrContains,
})

func stringArg(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.String}
}
func numberArg(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.Number}
}

func text(f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringArg("text")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(s), nil
		},
	})
}

func test2(f func(s, part string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringArg("text"), stringArg("part")},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(f(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

func decodeBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("the text is not base64")
	}
	return string(b), nil
}

// lengthFunc also counts the characters of a string, as users of HCL expect.
var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		t := args[0].Type()
		switch {
		case t == cty.String:
			return stdlib.Strlen(args[0])
		case t.IsTupleType():
			return cty.NumberIntVal(int64(t.Length())), nil
		case t.IsObjectType():
			return cty.NumberIntVal(int64(len(t.AttributeTypes()))), nil
		case t.IsCollectionType():
			return args[0].Length(), nil
		case t == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		}
		return cty.UnknownVal(cty.Number), function.NewArgErrorf(0, "a list, map, object or text is needed")
	},
})

var (
	wideVerb   = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{4,}`)
	numberVerb = regexp.MustCompile(`%[^a-zA-Z%]*[bcdeEfFgGoxX]`)
	wideNumber = regexp.MustCompile(`^[+-]?[0-9.]+[eE][+-]?[0-9]{4,}$`)
)

// boundedFormat keeps a width, or a number, from costing more memory than there is.
func boundedFormat(f function.Function) function.Function {
	params := f.Params()
	return function.New(&function.Spec{
		Params:   params,
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if form := args[0]; form.IsKnown() && !form.IsNull() {
				if wideVerb.MatchString(form.AsString()) {
					return cty.DynamicPseudoType, function.NewArgErrorf(0, "a width has at most three digits")
				}
				if numberVerb.MatchString(form.AsString()) && slices.ContainsFunc(args[1:], wideWithin) {
					return cty.DynamicPseudoType, errEndless
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

// wideWithin says whether text in a value would be an endless number.
func wideWithin(v cty.Value) bool {
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) { // the function gives no error
		found = found || v.Type() == cty.String && v.IsKnown() && !v.IsNull() && wideNumber.MatchString(v.AsString())
		return !found, nil
	})
	return found
}

// operators are ours in the place of HCL's. Its arithmetic answers infinity where it
// divides by zero, and turns text into numbers that take seconds to write out; the others
// compare what can't be compared.
var operators = map[*hclsyntax.Operation]*hclsyntax.Operation{
	hclsyntax.OpAdd:      boundedOperator(hclsyntax.OpAdd, false),
	hclsyntax.OpSubtract: boundedOperator(hclsyntax.OpSubtract, false),
	hclsyntax.OpMultiply: boundedOperator(hclsyntax.OpMultiply, false),
	hclsyntax.OpDivide:   boundedOperator(hclsyntax.OpDivide, true),
	hclsyntax.OpModulo:   boundedOperator(hclsyntax.OpModulo, true),
	hclsyntax.OpNegate:   boundedOperator(hclsyntax.OpNegate, false),

	// Comparisons of numbers and logic take nothing that a secret could become.
	hclsyntax.OpEqual:    guardOperator(hclsyntax.OpEqual),
	hclsyntax.OpNotEqual: guardOperator(hclsyntax.OpNotEqual),
}

// What stands before the colon is the summary of a finding.
var (
	errZero    = errors.New("division by zero: let a condition see to it that what stands behind / or % is not 0")
	errEndless = errors.New("the number is too large: write at most a thousand digits")
)

func boundedOperator(op *hclsyntax.Operation, divides bool) *hclsyntax.Operation {
	f := boundedNumbers(op.Impl)
	if !divides {
		return &hclsyntax.Operation{Impl: f, Type: op.Type}
	}
	return &hclsyntax.Operation{Type: op.Type, Impl: function.New(&function.Spec{
		Params: f.Params(),
		Type:   function.StaticReturnType(op.Type),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if args[1].AsBigFloat().Sign() == 0 {
				return cty.UnknownVal(op.Type), errZero
			}
			return f.Call(args)
		},
	})}
}

// boundedNumbers keeps text from becoming a number that takes seconds to write out.
func boundedNumbers(f function.Function) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type:     func(args []cty.Value) (cty.Type, error) { return f.ReturnTypeForValues(args) },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if i := slices.IndexFunc(args, endlessWithin); i >= 0 {
				return cty.DynamicVal, function.NewArgError(i, errEndless)
			}
			v, err := f.Call(args)
			if err == nil && endlessWithin(v) {
				if len(args) == 1 && args[0].Type() == cty.String {
					return cty.DynamicVal, function.NewArgError(0, errEndless)
				}
				return cty.DynamicVal, errEndless
			}
			return v, err
		},
	})
}

// endlessWithin says whether a number in a value would take seconds to become text.
func endlessWithin(v cty.Value) bool {
	if v.Type() == cty.String || v.Type() == cty.Bool {
		return false
	}
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) { // the function gives no error
		found = found || endless(v)
		return !found, nil
	})
	return found
}

// boundedProduct keeps the product of a few lists from costing more memory than there is.
var boundedProduct = function.New(&function.Spec{
	VarParam: stdlib.SetProductFunc.VarParam(),
	Type:     func(args []cty.Value) (cty.Type, error) { return stdlib.SetProductFunc.ReturnTypeForValues(args) },
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n := 1
		for _, a := range args {
			if a.IsWhollyKnown() && a.CanIterateElements() {
				if n *= max(1, a.LengthInt()); n > maxElements {
					return cty.DynamicVal, fmt.Errorf("the product has more than %d elements", maxElements)
				}
			}
		}
		return stdlib.SetProductFunc.Call(args)
	},
})

var hostPort = function.New(&function.Spec{
	Params: []function.Parameter{stringArg("host"), {Name: "port", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		host := strings.TrimSuffix(strings.TrimPrefix(args[0].AsString(), "["), "]")
		if strings.Contains(host, "/") {
			return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "%q has a prefix length; give the address alone", host)
		}
		switch p := args[1]; p.Type() {
		case cty.String:
			return cty.StringVal(net.JoinHostPort(host, p.AsString())), nil
		case cty.Number:
			n, accuracy := p.AsBigFloat().Int64()
			if accuracy != big.Exact || n < 0 || n > 65535 {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "a port is a whole number up to 65535")
			}
			return cty.StringVal(net.JoinHostPort(host, strconv.FormatInt(n, 10))), nil
		}
		return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "a port is a number or the name of a service")
	},
})

func prefixArg(v cty.Value) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(v.AsString())
	if err != nil {
		return p, function.NewArgErrorf(0, "%q is no network such as 10.0.0.0/24", v.AsString())
	}
	return p, nil
}

// offset adds n units of 2^shift to the network's first address.
func offset(p netip.Prefix, n *big.Int, shift int) (netip.Addr, error) {
	sum := new(big.Int).SetBytes(p.Masked().Addr().AsSlice())
	sum.Add(sum, new(big.Int).Lsh(n, uint(shift)))
	raw := make([]byte, p.Addr().BitLen()/8)
	if sum.Sign() < 0 || sum.BitLen() > len(raw)*8 {
		return netip.Addr{}, fmt.Errorf("%s has no address %s", p, n)
	}
	a, _ := netip.AddrFromSlice(sum.FillBytes(raw))
	if !p.Contains(a) {
		return netip.Addr{}, fmt.Errorf("%s has no address %s", p, n)
	}
	return a, nil
}

func wholeArg(v cty.Value, i int) (*big.Int, error) {
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != big.Exact {
		return nil, function.NewArgErrorf(i, "a whole number is needed")
	}
	return big.NewInt(n), nil
}

var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{stringArg("network"), numberArg("number")},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		unknown := cty.UnknownVal(cty.String)
		p, err := prefixArg(args[0])
		if err != nil {
			return unknown, err
		}
		n, err := wholeArg(args[1], 1)
		if err != nil {
			return unknown, err
		}
		if n.Sign() < 0 { // counted from the end
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits())))
		}
		a, err := offset(p, n, 0)
		if err != nil {
			return unknown, err
		}
		return cty.StringVal(a.String()), nil
	},
})

func cidrNetmask(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return "", fmt.Errorf("%q is no IPv4 network such as 10.0.0.0/24", s)
	}
	return net.IP(net.CIDRMask(p.Bits(), 32)).String(), nil
}

var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{stringArg("network"), numberArg("newbits"), numberArg("number")},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		unknown := cty.UnknownVal(cty.String)
		p, err := prefixArg(args[0])
		if err != nil {
			return unknown, err
		}
		more, err := wholeArg(args[1], 1)
		if err != nil {
			return unknown, err
		}
		n, err := wholeArg(args[2], 2)
		if err != nil {
			return unknown, err
		}
		bits := int64(p.Bits()) + more.Int64()
		if more.Sign() < 0 || more.Int64() > 128 || bits > int64(p.Addr().BitLen()) {
			return unknown, function.NewArgErrorf(1, "%s can't be divided by %s more bits", p, more)
		}
		if n.Sign() < 0 || n.BitLen() > int(more.Int64()) {
			return unknown, function.NewArgErrorf(2, "there is no subnet %s of %s more bits", n, more)
		}
		a, err := offset(p, n, p.Addr().BitLen()-int(bits))
		if err != nil {
			return unknown, err
		}
		return cty.StringVal(netip.PrefixFrom(a, int(bits)).String()), nil
	},
})

var cidrContains = function.New(&function.Spec{
	Params: []function.Parameter{stringArg("network"), stringArg("address")},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		unknown := cty.UnknownVal(cty.Bool)
		p, err := prefixArg(args[0])
		if err != nil {
			return unknown, err
		}
		a, err := netip.ParseAddr(args[1].AsString())
		if err != nil {
			return unknown, function.NewArgErrorf(1, "%q is no address", args[1].AsString())
		}
		return cty.BoolVal(p.Contains(a)), nil
	},
})

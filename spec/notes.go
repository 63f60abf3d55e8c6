package spec

import (
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// notes asks the structs for what is worth knowing and no mistake. What is mistaken, or
// not known yet, has nothing to tell.
func (x *evaluation) notes(d *decoding, places map[string]hcl.Range) {
	for _, p := range d.parts {
		noter, is := p.value.Addr().Interface().(Noter)
		if !is || len(p.failed) > 0 {
			continue
		}
		for _, n := range noter.Notes() {
			if p.missing(n.Field) {
				continue
			}
			at, written := places[n.Field]
			if !written {
				at = d.at
			}
			x.report(codeNote, at, n.Detail, n.Summary)
		}
	}
}

var (
	confidential = regexp.MustCompile(`(?i)passw(or)?d|passphrase|token|secret|api_?key|authorization`)
	elsewhere    = regexp.MustCompile(`(?i)_(file|path|dir|url|name|id|ttl|user)$`) // where a secret is, or about it
)

// noteSecrets notes what is called a secret, may be one, and stands in the file.
func (x *evaluation) noteSecrets(p *part, f *Field, a *hclsyntax.Attribute) {
	switch v := p.value.FieldByIndex(f.Index).Interface().(type) {
	case string:
		if inTheOpen(f.Name, v) {
			x.report(codePlainSecret, a.Expr.Range(), howToHide, f.Name)
		}
	case map[string]string:
		for name, text := range v {
			if inTheOpen(name, text) {
				x.report(codePlainSecret, keyRange(a.Expr, name), howToHide, name)
			}
		}
	}
}

const howToHide = `Who reads the file, or its history, reads the value. Put it into /etc/svcctl/secrets/NAME on the nodes and write secret("NAME").`

func inTheOpen(name, text string) bool {
	return text != "" && !strings.HasPrefix(text, "/") && !holdsMark(text) && confidential.MatchString(name) && !elsewhere.MatchString(name)
}

// keyRange is the place of an element's value where the map is written out, else that
// of the map.
func keyRange(expr hclsyntax.Expression, name string) hcl.Range {
	if object, is := expr.(*hclsyntax.ObjectConsExpr); is {
		for _, item := range object.Items {
			if k, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && k.IsKnown() && !k.IsNull() && k.Type() == cty.String && k.AsString() == name {
				return item.ValueExpr.Range()
			}
		}
	}
	return expr.Range()
}

package spec

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A secret in plain text is told by what it is called, never by what it looks like. No
// finding repeats it, and the lines on which one stands are not shown.

// plainUse is an argument that has a secret from a variable or local. It is told where
// that is defined: once, however many read it.
type plainUse struct {
	definition   string // "var.x" or "local.x"
	what, detail string
	at           hcl.Range
}

// What ends so holds a secret; PASSWORD_FILE says where one is, TOKEN_TTL how long it lasts.
var confidential = []string{
	"password", "passwd", "passphrase", "token", "secret", "apikey", "api_key", "authorization",
	"secret_key", "secret_key_base", "secret_access_key", "mysql_pwd", "rediscli_auth", "requirepass", "masterauth",
}

func calledSecret(name string) bool {
	name = strings.ToLower(name)
	if strings.ContainsAny(name, "-.") {
		name = strings.NewReplacer("-", "_", ".", "_").Replace(name)
	}
	ends := func(end string) bool { return strings.HasSuffix(name, end) }
	return slices.ContainsFunc(confidential, ends) && !slices.ContainsFunc(harmless, ends)
}

func calledPassword(name string) bool {
	return calledSecret(name) && slices.ContainsFunc([]string{"password", "passwd", "passphrase"}, func(end string) bool {
		return strings.HasSuffix(strings.ToLower(name), end)
	})
}

// harmless are what secrets are called, how many tokens there may be, and the tokens of a text.
var harmless = []string{
	"tls_secret", "pull_secret", "max_token", "min_token", "pad_token", "eos_token", "bos_token", "sep_token", "unk_token", "mask_token", "cls_token",
}

// settings are values that are no secrets, whatever has them.
var settings = []string{
	"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "enabled", "disabled", "required", "optional",
	"default", "auto", "prompt", "ask", "bearer", "basic", "negotiate", "digest", "ntlm",
}

// mayBeSecret says whether text may be a secret itself: no path, no reference that a shell or
// program resolves, no placeholder and no setting.
func mayBeSecret(text string) bool {
	if i := strings.LastIndexByte(text, ' '); i >= 0 && len(text) < 1000 { // "Bearer $TOKEN"
		if last := strings.Trim(text[i+1:], `"'`); last != "" && strings.Contains("$<{", last[:1]) {
			return false
		}
	}
	text = strings.Trim(text, `"'`)
	if len(text) < 2 || strings.Contains("/$@<{%~`*. \t\r\n", text[:1]) || holdsMark(text) {
		return false
	}
	if scheme, _, has := strings.Cut(text, ":"); has && slices.Contains([]string{"file", "env", "vault", "ref", "http", "https"}, strings.ToLower(scheme)) {
		return false
	}
	return !slices.Contains(settings, strings.ToLower(text)) && strings.Trim(text, "xX") != ""
}

var loginInURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:"']*:([^\s/?#@"']+)@(\S*)`)

// urlWithPassword says whether there is a URL with user:password@ in text. A digest behind
// the @ makes it the name of an image.
func urlWithPassword(text string) bool {
	if !strings.Contains(text, "://") || !strings.Contains(text, "@") {
		return false
	}
	return slices.ContainsFunc(loginInURL.FindAllStringSubmatch(text, 10), func(m []string) bool {
		return !strings.Contains("${<*%", m[1][:1]) && !holdsMark(m[1]) && !strings.HasPrefix(m[2], "sha") && strings.Trim(m[1], "xX") != ""
	})
}

// exposed tells of secrets in what was written for an argument.
func (x *evaluation) exposed(d *decoding, f *Field, v reflect.Value, a *hclsyntax.Attribute) {
	if v.Type() == bytesType || v.Type() == durationType || v.Type() == promiseType {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if what := inTheOpen(f.Name, v.String()); what != "" {
			x.plain(d, f, a.Expr, what, a.Expr.Range())
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if what := inTheOpen(it.Key().String(), it.Value().String()); what != "" {
				e := elementOf(a.Expr, it.Key().String())
				x.plain(d, f, e, what, e.Range())
			}
		}
	case reflect.Slice:
		var line commandLine
		for i := range v.Len() {
			if what := line.next(v.Index(i).String()); what != "" {
				x.plain(d, f, a.Expr, what, at(a.Expr, &mistake{element: i}))
			}
		}
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64: // no text
	default:
		panic("internal error: an argument of type " + v.Type().String())
	}
}

// inTheOpen is what stands in the file, "" where nothing does.
func inTheOpen(name, text string) string {
	switch {
	case calledSecret(name) && mayBeSecret(text):
		return strconv.Quote(name)
	case urlWithPassword(text):
		return fmt.Sprintf("the password in %q", name)
	}
	return ""
}

var optionName = regexp.MustCompile(`^-{0,2}[A-Za-z][A-Za-z0-9_.-]*$`)

// published is what docker run takes behind -p.
var published = regexp.MustCompile(`^([0-9.]+:)?[0-9]+:[0-9]+(/[a-z]+)?$`)

// takesSecret are the options that a secret follows as a word of its own. Behind others
// that end so, such as --no-password, anything may follow.
var takesSecret = regexp.MustCompile(`^--?(password|passwd|passphrase|token|auth-token|access-token|api-key|apikey|secret-key|requirepass|masterauth)$`)

// commandLine is what is known of a command, or of another list, after some of its words.
type commandLine struct {
	client bool   // that takes a password behind -p
	asks   bool   // --password makes it ask for one
	before string // the last word
}

// next is what stands in the next word, "" where nothing does.
func (l *commandLine) next(word string) string {
	what := inWord(word, l.client)
	if what == "" && !l.asks && takesSecret.MatchString(l.before) && !strings.HasPrefix(word, "-") && mayBeSecret(word) {
		what = strconv.Quote(l.before)
	}
	l.client = l.client || mysqlClient(word)
	l.asks = l.asks || l.client || path.Base(word) == "psql" || strings.HasPrefix(path.Base(word), "pg_")
	l.before = word
	return what
}

// withoutSecrets are the words of a command, each perhaps a line itself, without the
// secrets that they hold.
func withoutSecrets(words []string) []string {
	out := make([]string, 0, len(words))
	var line commandLine
	for _, word := range words {
		if line.next(word) != "" || lineHoldsSecret(" "+word) {
			name, _, has := strings.Cut(word, "=")
			if word = "…"; has && optionName.MatchString(name) {
				word = name + "=…"
			}
		}
		out = append(out, word)
	}
	return out
}

// inWord looks at what one word alone says.
func inWord(word string, client bool) string {
	if name, value, has := strings.Cut(word, "="); has && calledSecret(name) && optionName.MatchString(name) && mayBeSecret(value) {
		return strconv.Quote(name)
	}
	if value, has := strings.CutPrefix(word, "-p"); has && client && mayBeSecret(value) && !published.MatchString(value) {
		return `the password behind "-p"`
	}
	if urlWithPassword(word) {
		return "the password in a URL"
	}
	return ""
}

// lineSecrets are the ways in which a line gives a secret a value: NAME = "value",
// "NAME=value" in text, and an option with the next word.
var lineSecrets = []*regexp.Regexp{
	regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)"?\s*[=:]\s*"([^"]+)`),
	regexp.MustCompile(`["'\s]-{0,2}([A-Za-z][A-Za-z0-9_.-]*)=([^"'\s]+)`),
	regexp.MustCompile(`["'\s]--?([A-Za-z][A-Za-z0-9-]*)(?:"\s*,\s*"|\s+)([^"'\s-][^"'\s]*)`),
}

// lineHoldsSecret looks at a line as text: where it is mistaken, its values are not known.
func lineHoldsSecret(line string) bool {
	for _, form := range lineSecrets {
		for _, m := range form.FindAllStringSubmatch(line, 100) {
			if calledSecret(m[1]) && mayBeSecret(m[2]) {
				return true
			}
		}
	}
	return urlWithPassword(line)
}

// mysqlClient says whether a word is a program that takes a password behind -p.
func mysqlClient(word string) bool {
	name := path.Base(word)
	return name == "mysql" || name == "mariadb" || strings.HasPrefix(name, "mysql") && slices.Contains([]string{"dump", "admin", "check", "import", "show"}, name[len("mysql"):]) ||
		strings.HasPrefix(name, "mariadb-") && slices.Contains([]string{"dump", "admin", "check", "import", "show", "backup"}, name[len("mariadb-"):])
}

func (x *evaluation) plain(d *decoding, f *Field, expr hclsyntax.Expression, what string, at hcl.Range) {
	detail := howToHide(d, f)
	if name := definitionRead(expr); name != "" {
		x.file.plain = append(x.file.plain, plainUse{name, what, detail, at})
		return
	}
	// What an agent's file says of its node does not stand in this one.
	if !slices.ContainsFunc(x.variables(expr), func(t hcl.Traversal) bool { return t.RootName() == "node" || t.RootName() == "cluster" }) {
		x.report(codePlainSecret, at, detail, what)
	}
}

func howToHide(d *decoding, f *Field) string {
	const why = "Who reads the file, or its history, reads the value. Put it into /etc/svcctl/secrets/NAME on the nodes and "
	if f.Secret {
		return why + `write secret("NAME").`
	}
	var takers []string
	for _, p := range d.parts {
		takers = append(takers, takesSecrets(p.schema, "")...)
	}
	if len(takers) == 0 {
		return why + `give secret("NAME") to an argument that takes secrets.`
	}
	return why + fmt.Sprintf(`give secret("NAME") to what takes secrets here: %s.`, strings.Join(takers, ", "))
}

// definitionRead is the variable or local that an expression is, "" for any other.
func definitionRead(expr hclsyntax.Expression) string {
	t, is := expr.(*hclsyntax.ScopeTraversalExpr)
	if !is || len(t.Traversal) != 2 || t.Traversal.RootName() != "var" && t.Traversal.RootName() != "local" || second(t.Traversal) == "" {
		return ""
	}
	return t.Traversal.RootName() + "." + second(t.Traversal)
}

// elementOf is an element's value where the map is written out, else the map.
func elementOf(expr hclsyntax.Expression, name string) hclsyntax.Expression {
	if object, is := expr.(*hclsyntax.ObjectConsExpr); is {
		for _, item := range object.Items {
			if k, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && k.IsKnown() && !k.IsNull() && k.Type() == cty.String && k.AsString() == name {
				return item.ValueExpr
			}
		}
	}
	return expr
}

func keyRange(expr hclsyntax.Expression, name string) hcl.Range { return elementOf(expr, name).Range() }

// checkPlain tells of each variable and local that holds a secret of some argument.
func (r *run) checkPlain() {
	told := map[*definition]bool{}
	for _, p := range r.paths {
		f := r.files[p]
		slices.SortFunc(f.plain, func(a, b plainUse) int { // resources come as they wait for each other, elements in any order
			return cmp.Or(cmp.Compare(a.at.Start.Byte, b.at.Start.Byte), cmp.Compare(a.what, b.what))
		})
		for _, use := range f.plain {
			d := r.resolve(f.folder, use.definition)
			for range maxFolders { // var.a of local.b of …
				if d == nil || d.alias == "" {
					break
				}
				d = r.resolve(d.file.folder, d.alias)
			}
			if d == nil || told[d] {
				continue
			}
			told[d] = true
			r.report(newFinding(codePlainSecret, d.at, fmt.Sprintf("It is read at %s. %s", place(use.at), use.detail), use.what))
		}
	}
	// Whatever it is read for, a password is called one. What is called a secret or token
	// may be its name, for secret().
	for _, p := range r.paths {
		for _, d := range r.files[p].definitions {
			_, name, _ := strings.Cut(d.name, ".")
			if !told[d] && calledPassword(name) && len(d.reads) == 0 && d.val != nil && d.val.ok && knownText(d.val.v) && mayBeSecret(d.val.v.AsString()) {
				r.report(newFinding(codePlainSecret, d.at, `Who reads the file, or its history, reads the value. Put it into /etc/svcctl/secrets/NAME on the nodes and read secret("NAME") where it is used.`, strconv.Quote(name)))
			}
		}
	}
}

// hideSecrets keeps the lines on which secrets stand from being shown, whatever else is
// found there.
func hideSecrets(all []Finding) {
	type line struct {
		file   string
		number int
	}
	var hidden map[line]bool
	for i := range all {
		if f := &all[i]; f.Code == codePlainSecret {
			if hidden == nil {
				hidden = map[line]bool{}
			}
			for n := f.Range.Start.Line; n <= min(f.Range.End.Line, f.Range.Start.Line+1000); n++ {
				hidden[line{f.File, n}] = true
			}
		}
	}
	for i := range all {
		if f := &all[i]; hidden[line{f.File, f.Range.Start.Line}] {
			f.hidden = true
		}
	}
}

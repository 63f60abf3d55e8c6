package spec

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// stray is a path that no mount of its service provides, though one is mounted beside
// it. Whether another service provides it is known only when the whole set is.
type stray struct {
	path    string // as it is used
	beside  string // the mount point
	because string // the mount's local address, and its place
	slip    bool   // it looks like a misspelt mount point
	node    string // whose values these are, as that of a holder
	at      hcl.Range
}

// mounted are the mount points of a service.
type mounted struct {
	at      map[string][]*occupant // by mount point
	parents map[string][]string    // the last parts of the mount points in a folder, sorted
	above   map[string]bool        // folders that a mount point is somewhere below; it and parents are made once they are asked for
	all     []*occupant
	after   map[Address]*Resource // made once it is asked for
	looks   int                   // how many names were compared
	early   int                   // how many uses were reported as too early
}

// maxLooks bounds the names that are compared for one service.
const maxLooks = 100_000

// maxStrays and maxEarly bound the paths that are reported for one service.
const (
	maxStrays = 100
	maxEarly  = 100
)

// maxDepth bounds how many folders above a path are looked at.
const maxDepth = 64

// upward gives a clean absolute path and the folders above it, the root at last.
func upward(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for range maxDepth {
			if !yield(p) || p == "/" {
				return
			}
			p = p[:max(1, strings.LastIndexByte(p, '/'))]
		}
	}
}

func (s *serviceDraft) mounted() *mounted {
	m := &mounted{at: map[string][]*occupant{}, all: s.occupants}
	for _, o := range s.occupants {
		for _, c := range o.mounts {
			m.at[c.Value] = append(m.at[c.Value], o)
		}
	}
	return m
}

// place notes what is around the mount points, for paths that are on none of them.
func (m *mounted) place() {
	m.parents, m.above = map[string][]string{}, map[string]bool{}
	for point := range m.at {
		m.parents[path.Dir(point)] = append(m.parents[path.Dir(point)], path.Base(point))
		for dir := range upward(path.Dir(point)) {
			if m.above[dir] {
				break
			}
			m.above[dir] = true
		}
	}
	for _, names := range m.parents {
		slices.Sort(names)
	}
}

// provider is the mount that a path is on, the deepest one where mounts are nested.
func (m *mounted) provider(p string) []*occupant {
	for dir := range upward(p) {
		if o := m.at[dir]; o != nil {
			return o
		}
	}
	return nil
}

// checkPaths reports who uses what is on a mount of its own service without being after
// it, and returns the paths that no mount of it provides. Of a service with mistakes
// neither is known.
func (x *evaluation) checkPaths(s *serviceDraft) (strays []stray) {
	if s.broken || !slices.ContainsFunc(s.occupants, func(o *occupant) bool { return len(o.mounts) > 0 }) {
		return nil
	}
	m := s.mounted()
	lost := slices.ContainsFunc(s.occupants, func(o *occupant) bool { return o.lost })
	for _, o := range s.occupants {
		if o.res == nil || o.off {
			continue
		}
		told := map[*occupant]bool{}
		for _, u := range o.uses() {
			for _, p := range u.paths {
				switch providers := m.provider(p); {
				case providers != nil:
					if m.tooEarly(o, providers, told) {
						x.reportEarly(o, providers[0], p, o.usedAt(u))
					}
				case !o.makes && !lost && !u.program && len(strays) < maxStrays:
					if s, is := m.stray(p); is {
						if s.at = o.usedAt(u); o.draft.readsNode {
							s.node = x.node.Name
						}
						strays = append(strays, s)
					}
				}
			}
		}
		for _, c := range o.mounts {
			if providers := m.provider(path.Dir(c.Value)); providers != nil && m.tooEarly(o, providers, told) {
				x.reportEarly(o, providers[0], c.Value, o.place(c.Field))
			}
		}
	}
	return strays
}

// use is one word of an argument with the paths in it.
type use struct {
	paths   []string
	program bool
	field   string
	word    int // the number of the word in the field
}

// programs are the arguments whose first word is a program: it lies wherever it was installed.
var programs = []string{"command", "status", "stop"}

// uses are the paths in an occupant's arguments.
func (o *occupant) uses() (out []use) {
	u, is := o.res.Config.(PathUser)
	if !is {
		return nil
	}
	words := u.Paths()
	for _, field := range slices.Sorted(maps.Keys(words)) {
		if o.config.missing(topOf(field)) {
			continue
		}
		for i, word := range words[field] {
			paths := pathsIn(word)
			if paths == nil {
				continue
			}
			out = append(out, use{
				paths: paths, program: i == 0 && slices.Contains(programs, field), field: field, word: i,
			})
		}
	}
	return out
}

func (o *occupant) usedAt(u use) hcl.Range {
	if strings.Contains(u.field, ".") && o.draft.block.Body.Attributes[topOf(u.field)] != nil { // an element of a map
		return o.place(u.field)
	}
	return o.place(fmt.Sprintf("%s.%d", u.field, u.word))
}

func (o *occupant) place(field string) hcl.Range {
	return placeOf(o.draft.block.Body, field, o.draft.block.TypeRange)
}

// tooEarly says whether an occupant that uses a path on a mount may start before it, and
// that is still to be told. Where it is the mount that waits, the order is as it was meant.
func (m *mounted) tooEarly(o *occupant, providers []*occupant, told map[*occupant]bool) bool {
	for _, by := range providers {
		if by == o || by.off || by.res == nil || told[by] {
			return false
		}
		told[by] = true
		if m.waits(o.res, by.res) || m.waits(by.res, o.res) {
			return false
		}
	}
	m.early++
	return m.early <= maxEarly
}

func (x *evaluation) reportEarly(o, by *occupant, p string, at hcl.Range) {
	local := by.res.Address.Local()
	x.report(codeNotAfter, at, fmt.Sprintf("Add after = [%s], or read %s.path in place of the text: the mount is at %s.", local, local, place(by.draft.block.TypeRange)),
		p, local, o.res.Address.Local())
}

// waits says whether one resource comes after another, directly or not.
func (m *mounted) waits(who, whom *Resource) bool {
	if slices.Contains(who.After, whom.Address) { // as nearly all that wait do
		return true
	}
	if m.after == nil {
		m.after = make(map[Address]*Resource, len(m.all))
		for _, o := range m.all {
			if o.res != nil {
				m.after[o.res.Address] = o.res
			}
		}
	}
	seen := map[Address]bool{}
	next := []*Resource{who}
	for len(next) > 0 {
		r := next[len(next)-1]
		next = next[:len(next)-1]
		if _, is := slices.BinarySearch(r.After, whom.Address); is {
			return true
		}
		for _, a := range r.After {
			if !seen[a] {
				seen[a] = true
				if other := m.after[a]; other != nil {
					next = append(next, other)
				}
			}
		}
	}
	return false
}

// commonFolders are those that everybody's files lie in: what is beside a mount point there
// has nothing to do with it, unless it looks like it.
var commonFolders = map[string]bool{
	"/": true, "/srv": true, "/mnt": true, "/media": true, "/opt": true, "/home": true, "/root": true, "/tmp": true, "/run": true,
	"/var": true, "/var/lib": true, "/var/log": true, "/var/cache": true, "/var/spool": true, "/var/tmp": true, "/var/run": true,
	"/var/www": true, "/var/opt": true, "/var/backups": true, "/etc": true, "/dev": true, "/dev/shm": true, "/proc": true, "/sys": true,
	"/boot": true, "/bin": true, "/sbin": true, "/lib": true, "/lib64": true,
	"/usr": true, "/usr/bin": true, "/usr/sbin": true, "/usr/lib": true, "/usr/share": true, "/usr/local": true, "/usr/src": true,
}

// system are folders whose files are there without any mount.
var system = []string{"/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/dev", "/proc", "/sys", "/run", "/tmp", "/var/run", "/var/tmp"}

// installed are names of folders that come with a program, not with its data.
var installed = map[string]bool{
	"bin": true, "sbin": true, "lib": true, "lib64": true, "libexec": true, "share": true, "etc": true, "conf": true, "conf.d": true,
	"config": true, "current": true, "releases": true, "src": true, "dist": true, "doc": true, "docs": true, "man": true,
	"include": true, "scripts": true, "plugins": true, "modules": true, "node_modules": true, "vendor": true, "venv": true, ".venv": true,
	"static": true, "templates": true, "public": true, "html": true, "www": true, "run": true, "tmp": true,
}

// stray says whether a path looks as if a mount of the service should provide it.
func (m *mounted) stray(p string) (stray, bool) {
	if m.parents == nil {
		m.place()
	}
	if m.above[p] || commonFolders[p] {
		return stray{}, false
	}
	for part := range upward(p) {
		dir, name := path.Dir(part), path.Base(part)
		if m.parents[dir] == nil || m.above[part] || commonFolders[part] {
			continue
		}
		best, slip := m.parents[dir][0], false
		for _, other := range m.parents[dir] {
			if m.looks++; m.looks > maxLooks {
				return stray{}, false
			}
			if misspelt(name, other) {
				best, slip = other, true
				break
			}
		}
		file := part == p && strings.Contains(name, ".")
		if !slip && (commonFolders[dir] || file || installed[name] || slices.ContainsFunc(system, func(s string) bool { return within(dir, s) })) {
			continue
		}
		point := path.Join(dir, best)
		by := m.at[point][0].draft
		return stray{path: p, beside: point, because: fmt.Sprintf("%s at %s", by.local, place(by.block.TypeRange)), slip: slip}, true
	}
	return stray{}, false
}

// within says whether a path is a folder or somewhere below it.
func within(p, folder string) bool {
	return p == folder || folder == "/" || strings.HasPrefix(p, folder) && p[len(folder)] == '/'
}

// misspelt says whether a name is more likely a slip of the other one than a name of its own.
func misspelt(name, other string) bool {
	short := min(len(name), len(other))
	if short < 3 || max(len(name), len(other)) > 255 || withoutDigits(name) == withoutDigits(other) { // numbers are given on purpose
		return false
	}
	a, b := strings.ToLower(name), strings.ToLower(other)
	switch levenshtein.Distance(a, b, nil) {
	case 0, 1:
		return true
	case 2:
		return short > 4 && a[0] == b[0]
	}
	return false
}

func withoutDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, s)
}

// detail says what to write in place of a stray path.
func (s *stray) detail() string {
	if s.slip {
		return fmt.Sprintf("Did you mean %q? That is %s.", s.beside, s.because)
	}
	return fmt.Sprintf("%s is mounted beside it, by %s. Declare a mount for it, or take a folder below that one.", s.beside, s.because)
}

// notInPaths are characters that a shell or a template would make something else of.
const notInPaths = " \t\n\r\"'`*?[]{}()<>|&;$\\%\x00"

// pathsIn are the absolute paths that a word of a command, or the value of a variable, is
// or holds: /a, --data=/a, -D/a, /a:/b.
func pathsIn(word string) (out []string) {
	if holdsMark(word) || len(word) > 4096 || strings.ContainsAny(word, notInPaths) {
		return nil
	}
	if !strings.HasPrefix(word, "/") {
		name, value, is := strings.Cut(word, "=")
		switch {
		case is && strings.HasPrefix(value, "/") && !strings.ContainsAny(name, "/:"):
			word = value
		case len(word) > 3 && word[0] == '-' && word[1] != '-' && word[2] == '/':
			word = word[2:]
		default:
			return nil
		}
	}
	if strings.HasPrefix(word, "//") { // a share, or what is left of a URL
		return nil
	}
	for p := range strings.FieldsFuncSeq(word, func(c rune) bool { return c == ':' || c == ',' }) {
		if p = path.Clean(p); strings.HasPrefix(p, "/") && p != "/" {
			out = append(out, p)
		}
	}
	return out
}

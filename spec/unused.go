package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkUnused finds variables and locals that nothing reads. What only an unused one
// reads is no mistake of its own. Nothing is said where a reader may be out of sight, nor
// beside mistakes that keep the set from being read: one of them may be a reader's.
func (r *run) checkUnused() {
	if len(r.table) == 0 || r.options.Part || r.unsound() {
		return
	}
	used := map[*definition]bool{}
	for _, p := range r.paths {
		f := r.files[p]
		for _, rd := range f.reads {
			if d := r.resolve(f.folder, rd.name); d != nil {
				used[d] = true
			}
		}
	}
	var hidden map[*definition]*definition
	for _, p := range r.paths {
		for _, d := range r.files[p].definitions {
			if used[d] || r.table[d.file.folder][d.name] != d {
				continue
			}
			if hidden == nil {
				hidden = r.hidden()
			}
			detail := "Remove it, or read it: it is known in its folder and those below."
			if by := hidden[d]; by != nil {
				detail = fmt.Sprintf("Remove it: who reads that name reads the one at %s, which is nearer.", place(by.at))
			}
			kind, name, _ := strings.Cut(d.name, ".")
			code := codeUnusedVar
			if kind == "local" {
				code = codeUnusedLocal
			}
			r.report(newFinding(code, d.at, detail, name))
		}
	}
}

// unsound says whether the set has mistakes that keep it from being read.
func (r *run) unsound() bool {
	if r.anyBad || slices.ContainsFunc(r.findings, fatal) {
		return true
	}
	for _, f := range r.files {
		if slices.ContainsFunc(f.findings, fatal) || slices.ContainsFunc(f.definitions, func(d *definition) bool { return slices.ContainsFunc(d.findings, fatal) }) {
			return true
		}
	}
	return false
}

// hidden are the definitions that have one of their name in a folder below, with the
// first of these.
func (r *run) hidden() map[*definition]*definition {
	out := map[*definition]*definition{}
	for _, p := range r.paths {
		for _, d := range r.files[p].definitions {
			if d.file.folder == "." {
				continue
			}
			if above := r.resolve(path.Dir(d.file.folder), d.name); above != nil && out[above] == nil {
				out[above] = d
			}
		}
	}
	return out
}

package spec

import "testing"

func TestWhatWasAcceptedIsReadThoughItWouldCollide(t *testing.T) {
	for name, files := range map[string][]string{
		"SV0501": {"a.hcl", ipOf("a", "", `"10.0.0.1/24"`) + ipOf("b", "", `"10.0.0.1/24"`)},
		"SV0511": {"a.hcl", svc("a", `nodes = ["n1"]`, `with = ["b"]`) + svc("b", `nodes = ["n2"]`)},
		"SV0516": {"a.hcl", svc("a", `rto = "1s" # the bank    description = "x"`) + svc("b")},
	} {
		l := NewLoader(testOptions)
		s, found := l.LoadAccepted(set(files...))
		if s == nil || len(s.Names) != 2 || len(found) != 1 || found[0].Code != name {
			t.Errorf("%s: found %s", name, printed(found))
		}
		if s, again := l.Load(set(files...)); s != nil || printed(again) != printed(found) {
			t.Errorf("%s: another reading has\n%s", name, printed(again))
		}
	}
	for _, text := range []string{"service \"a\" {", svc("a", `with = ["b"]`), svc("a", `rto = "soon"`)} {
		if s, found := NewLoader(testOptions).LoadAccepted(set("a.hcl", text)); s != nil {
			t.Errorf("%q is read, with %s", text, printed(found))
		}
	}
}

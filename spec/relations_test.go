package spec

import (
	"fmt"
	"strings"
	"testing"
)

// svc is a service that has an app, with arguments in one line each.
func svc(name string, lines ...string) string {
	return fmt.Sprintf("service %q {\n  %s\n  app \"main\" {\n    command = [\"/bin/true\"]\n  }\n}\n", name, strings.Join(lines, "\n  "))
}

func details(files ...string) string {
	_, findings := NewLoader(testOptions).Load(set(files...))
	return printed(findings)
}

func TestServicesThatShareANodeNeedOneInCommon(t *testing.T) {
	const n1, n2, n12, n23, n3 = `nodes = ["n1"]`, `nodes = ["n2"]`, `nodes = ["n1", "n2"]`, `nodes = ["n2", "n3"]`, `nodes = ["n3"]`
	wantFound(t, found(testOptions, "a.hcl", svc("a", n12, `with = ["b"]`)+svc("b", n3)), `3:11 SV0511 services "a" and "b" have no node in common`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", n1, `with = ["b"]`)+svc("b", n2, `with = ["a"]`)), `3:11 SV0511 services "a" and "b" have no node in common`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", n1, `with = ["b"]`, `topology = "everywhere"`)+svc("b", n2)), `3:11 SV0511 services "a" and "b" have no node in common`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", n1, `with = ["b"]`)+svc("b", `with = ["c"]`)+svc("c", n2)), `9:11 SV0511 no node is left for "b" with "c"`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", n12, `with = ["b", "c"]`)+svc("b", n23)+svc("c", `nodes = ["n3", "n1"]`)), `3:16 SV0511 no node is left for "a" with "c"`)
	wantFound(t, found(testOptions, "x/a.hcl", svc("a", n1, `with = ["../b"]`), "b.hcl", svc("b", n2)), `x/a.hcl:3:11 SV0211 no service "../b"`)
	wantFound(t, found(testOptions, "x/a.hcl", svc("a", n1, `with = ["default/b"]`), "b.hcl", svc("b", n2)), `x/a.hcl:3:11 SV0511 services "x/a" and "b" have no node in common`)
	for _, set := range []string{
		svc("a", n12, `with = ["b"]`) + svc("b", n23),
		svc("a", n12, `with = ["b"]`) + svc("b"),
		svc("a", `with = ["b"]`) + svc("b", n2, `with = ["c"]`) + svc("c", n23, `with = ["a"]`),
		// Each finds an instance of b on its own node.
		svc("a", n1, `with = ["b"]`) + svc("b", n12, `topology = "everywhere"`) + svc("c", n2, `with = ["b"]`),
		svc("a", n1, `with = ["b"]`) + svc("b", n12, `topology = "promotable"`) + svc("c", n2, `with = ["b"]`),
		svc("a", n1, `requires = ["b"]`) + svc("b", n2),
	} {
		wantFound(t, found(testOptions, "a.hcl", set))
	}
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", svc("a", `nodes = [cluster.name]`, `with = ["b"]`)+svc("b", n2)))
	wantFound(t, found(testOptions, "a.hcl", svc("a", `nodes = []`, `with = ["b"]`)+svc("b", n2)), `2:11 SV0309 "nodes" names no node`)
	text := details("a.hcl", svc("a", n1, `with = ["b"]`)+svc("b", `with = ["c"]`)+svc("c", n2))
	if want := "a on n1; c on n2"; !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
}

func TestServicesThatAreApartNeedAnotherNode(t *testing.T) {
	const n1, n12 = `nodes = ["n1"]`, `nodes = ["n1", "n2"]`
	both := `SV0511 services "c" and "a" are to share a node, and to be apart`
	wantFound(t, found(testOptions, "a.hcl", svc("a", `with = ["b"]`)+svc("b", `with = ["c"]`)+svc("c", `apart = ["a"]`)), `14:12 `+both)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `with = ["c"]`)+svc("c", `apart = ["a"]`)), `8:12 `+both)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `with = ["c"]`, `topology = "everywhere"`)+svc("c", `apart = ["a"]`)), `9:12 `+both)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `with = ["c"]`, `apart = ["c"]`)+svc("c", `apart = ["a"]`)), `3:12 SV0224 service "c" is in both "with" and "apart"`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", n1, `apart = ["b"]`)+svc("b", n1, `orchestrate = "start"`, `apart = ["a"]`)), `3:12 SV0511 services "a" and "b" are apart on one node`)
	// Where with is impossible itself, its consequence is not another mistake.
	wantFound(t, found(testOptions, "a.hcl", svc("a", n1, `with = ["b"]`)+svc("b", `nodes = ["n2"]`, `with = ["c"]`)+svc("c", `apart = ["a"]`)),
		`3:11 SV0511 services "a" and "b" have no node in common`)
	for _, set := range []string{
		svc("a", n12, `apart = ["b"]`) + svc("b", n12),
		svc("a", n1, `apart = ["b"]`) + svc("b"),
		svc("a", n1, `apart = ["b"]`) + svc("b", `nodes = ["n2"]`),
		svc("a", n1, `apart = ["b"]`) + svc("b", n1, `orchestrate = "manual"`), // one of them at a time
		svc("a", n1, `apart = ["b"]`, `orchestrate = "manual"`) + svc("b", n1),
		svc("a", `with = ["b"]`) + svc("b", `topology = "everywhere"`) + svc("c", `with = ["b"]`, `apart = ["a"]`),
		svc("a", `with = ["b"]`) + svc("b", `requires = ["c"]`) + svc("c", `apart = ["a"]`),
	} {
		wantFound(t, found(testOptions, "a.hcl", set))
	}
	text := details("a.hcl", svc("a", `with = ["b"]`)+svc("b", `with = ["c"]`)+svc("c", `apart = ["a"]`))
	if want := "b is with c at a.hcl:8; a is with b at a.hcl:2. Remove one of these."; !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
}

func TestWhatIsRequiredMustComeUpByItself(t *testing.T) {
	const hand = `orchestrate = "manual"`
	app := func(lines string) string { return "app \"x\" {\n command = [\"/bin/true\"]\n" + lines + "\n}" }
	empty := func(blocks string) string { return "service \"b\" {\n" + blocks + "\n}\n" }
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+svc("b", hand)), `2:15 SV0512 service "b" is started by hand only`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+empty("")), `2:15 SV0512 service "b" starts nothing`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+empty(app("disabled = true"))), `2:15 SV0512 service "b" starts nothing`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+empty(hand+"\n"+app("disabled = true\noptional = true"))), `2:15 SV0512 service "b" starts nothing`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+svc("b", hand, `requires = ["c"]`)+svc("c", hand)), `2:15 SV0512 service "b" is started by hand only`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+svc("b", `requires = ["c"]`)+svc("c", hand)), `8:15 SV0512 service "c" is started by hand only`)
	for _, set := range []string{
		svc("a", `requires = ["b"]`) + svc("b", `orchestrate = "start"`),
		svc("a", `requires = ["b"]`, hand) + svc("b", hand),
		svc("a", `with = ["b"]`) + svc("b", hand),
		svc("a", `requires = ["b"]`) + empty(app("disabled = false")),
		svc("a", `requires = ["b"]`) + empty(app("disabled = true")+"\ntask \"t\" {\n command = [\"/bin/true\"]\n}\n"),
		svc("a", `requires = ["b"]`) + empty(app("for_each = toset([])")), // tomorrow there may be some
		svc("a", `requires = ["b"]`) + empty(app("for_each = [\"a\", \"b\"]\ndisabled = each.key == \"a\"")),
		"service \"a\" {\n requires = [\"b\"]\n}\n" + svc("b", hand),
	} {
		wantFound(t, found(testOptions, "a.hcl", set))
	}
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", svc("a", `requires = ["b"]`)+empty(app(`disabled = node.name == "n1"`))))
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", svc("a", `requires = ["b"]`)+svc("b", `orchestrate = cluster.name`)))
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+empty("ap \"x\" {}")), `8:1 SV0205 no kind "ap"`)
	wantFound(t, found(testOptions, "a.hcl", svc("a", `requires = ["b"]`)+svc("b", `orchestrate = "hand"`)), `8:17 SV0304 "hand" is no value for "orchestrate"`)
}

func TestAVeryLongChainOfServicesIsJudgedSoonAndToldShort(t *testing.T) {
	for _, n := range []int{50, 3000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "service \"s%d\" {\n  with = [\"s%d\"]\n}\n", i, i+1)
		}
		b.WriteString(svc(fmt.Sprintf("s%d", n), `apart = ["s0"]`))
		_, findings := NewLoader(testOptions).Load(set("a.hcl", b.String()))
		if len(findings) != 1 || findings[0].Code != codeNoCommonNode || len(findings[0].Detail) > 500 {
			t.Errorf("%d: %s", n, printed(findings))
		}
	}
}

package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// What the kinds of these tests claim, as the real ones do.

func (m *mountConfig) Claims() []Claim {
	return []Claim{
		{Sort: ClaimMount, Value: m.Path, Field: "path"},
		{Sort: ClaimDevice, Value: m.Device, Field: "device", Shared: slices.Contains(m.Option, "ro")},
	}
}

func (m *mountConfig) Paths() map[string][]string { return map[string][]string{"device": {m.Device}} }

func (c *ipConfig) Claims() []Claim {
	p, err := netip.ParsePrefix(c.Address)
	if err != nil {
		return nil
	}
	return []Claim{{Sort: ClaimAddress, Value: p.Addr().String(), Field: "address"}}
}

func (c *appConfig) Claims() []Claim {
	address := c.Env["LISTEN"]
	if c.Port == 0 || address == "" {
		return nil
	}
	return []Claim{{Sort: ClaimPort, Value: fmt.Sprintf("tcp/%s:%d", address, c.Port), Field: "port"}}
}

func (c *appConfig) Paths() map[string][]string {
	out := map[string][]string{"command": c.Command}
	for k, v := range c.Env {
		out["env."+k] = []string{v}
	}
	return out
}

func (c *taskConfig) Paths() map[string][]string { return map[string][]string{"command": c.Command} }

// collisions loads files and lists what is found as "file:line code severity summary".
func collisions(t *testing.T, files ...string) (out []string) {
	t.Helper()
	return collisionsFor(t, testOptions, files...)
}

func collisionsFor(t *testing.T, o Options, files ...string) (out []string) {
	t.Helper()
	m := set(files...)
	l := NewLoader(o)
	_, findings := l.Load(m)
	for _, f := range findings {
		line := fmt.Sprintf("%s:%d %s %s", f.File, f.Range.Start.Line, f.Code, f.Summary)
		if f.Severity == Warning && strings.HasPrefix(f.Code, "SV050") && f.Code < codeMountUnder {
			line += " (warning)"
		}
		out = append(out, line)
	}
	if _, again := l.Load(m); printed(again) != printed(findings) {
		t.Errorf("once\n%sagain\n%s", printed(findings), printed(again))
	}
	return out
}

func expect(t *testing.T, name string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: found\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func ipOf(service, arguments, address string) string {
	return fmt.Sprintf("service %q {\n  %s\n  ip \"vip\" {\n    address = %s\n    interface = \"eth0\"\n  }\n}\n", service, arguments, address)
}

func mountOf(service, arguments, path, more string) string {
	return fmt.Sprintf("service %q {\n  %s\n  mount \"data\" {\n    path = %s\n    %s\n  }\n}\n", service, arguments, path, more)
}

func TestTwoServicesWithOneAddressCollideWhereTheyMayMeet(t *testing.T) {
	const same = `b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too`
	for _, c := range []struct {
		name, a, b, addressB string
		want                 []string
	}{
		{"anywhere", "", "", "", []string{same}},
		{"another prefix length", "", "", `"10.0.0.1/16"`, []string{same}},
		{"another address", "", "", `"10.0.0.2/24"`, nil},
		{"on different nodes", `nodes = ["n1"]`, `nodes = ["n2", "n3"]`, "", nil},
		{"with one node in common", `nodes = ["n1", "n2"]`, `nodes = ["n3", "n2"]`, "", []string{same}},
		{"one may be anywhere", `nodes = ["n1"]`, "", "", []string{same}},
		{"kept apart by the one", `apart = ["b"]`, "", "", nil},
		{"kept apart by the other", "", `apart = ["a"]`, "", nil},
		{"apart from somebody else", "", `apart = ["c"]`, "", []string{same}},
		{"started by hand", `orchestrate = "manual"`, "", "", []string{same + " (warning)"}},
		{"started by hand, the other", "", `orchestrate = "manual"`, "", []string{same + " (warning)"}},
		{"started at boot only", "", `orchestrate = "start"`, "", []string{same}},
		{"the value is a mistake", "", "", `"10.0.0.1"`, []string{`b.hcl:4 SV0309 not an address with a prefix length`}},
		{"the value is not known", "", "", `"${node.labels["x"]}/24"`, nil},
	} {
		addressB := c.addressB
		if addressB == "" {
			addressB = `"10.0.0.1/24"`
		}
		o := testOptions
		if strings.Contains(addressB, "node.") {
			o.Node = Node{}
		}
		expect(t, c.name, collisionsFor(t, o, "a.hcl", ipOf("a", c.a, `"10.0.0.1/24"`), "b.hcl", ipOf("b", c.b, addressB), "c.hcl", "service \"c\" {\n}\n"), c.want...)
	}
}

func TestEachServiceOnOneAddressIsReportedAgainstTheFirst(t *testing.T) {
	var files []string
	for _, n := range []string{"d", "b", "c", "a"} {
		files = append(files, n+".hcl", ipOf(n, "", `"10.0.0.1/24"`))
	}
	expect(t, "four services", collisions(t, files...),
		"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too",
		"c.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too",
		"d.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too")
}

func TestACollisionNamesTheOtherPlaceAndWhatToDo(t *testing.T) {
	_, findings := NewLoader(testOptions).Load(set("a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "x/b.hcl", ipOf("b", "", `"10.0.0.1/24"`)))
	const want = "a/ip.vip has it at a.hcl:4, and both may be up on one node. Give one of them another address, or keep the services on different nodes by nodes or apart."
	if len(findings) != 1 || findings[0].Detail != want || findings[0].Range.Start.Column != 15 || findings[0].Nodes != nil {
		t.Errorf("%+v", findings)
	}
}

func TestWhatIsDisabledClaimsNothing(t *testing.T) {
	for name, value := range map[string]string{"disabled": "true", "perhaps": `node.name == "n9"`} {
		o := testOptions
		o.Node = Node{}
		b := strings.Replace(ipOf("b", "", `"10.0.0.1/24"`), "interface", "disabled = "+value+"\n interface", 1)
		expect(t, name, collisionsFor(t, o, "a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "b.hcl", b))
	}
}

func TestResourcesOfOneServiceCollideToo(t *testing.T) {
	one := "service \"a\" {\n  orchestrate = \"manual\"\n  ip \"x\" {\n    address = \"10.0.0.1/24\"\n    interface = \"eth0\"\n  }\n  ip \"y\" {\n    address = \"10.0.0.1/24\"\n    interface = \"eth1\"\n  }\n}\n"
	expect(t, "two ips", collisions(t, "a.hcl", one), "a.hcl:8 SV0501 address 10.0.0.1 is a/ip.x's too")
	each := "service \"a\" {\n  ip \"x\" {\n    for_each = [\"p\", \"q\", \"r\"]\n    address = \"10.0.0.%s/24\"\n    interface = \"eth0\"\n  }\n}\n"
	expect(t, "instances", collisions(t, "a.hcl", fmt.Sprintf(each, "1")), `a.hcl:4 SV0501 address 10.0.0.1 is a/ip.x["p"]'s too`)
	expect(t, "instances that differ", collisions(t, "a.hcl", fmt.Sprintf(each, `${ { p = 1, q = 2, r = 3 }[each.key]}`)))
}

func TestAServiceDeclaredTwiceIsOneMistake(t *testing.T) {
	expect(t, "twice", collisions(t, "a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "b.hcl", ipOf("a", "", `"10.0.0.1/24"`)),
		`b.hcl:1 SV0201 service "a" is declared twice`)
	one := ipOf("a", "", `"10.0.0.1/24"`)
	expect(t, "twice in a file", collisions(t, "a.hcl", one+one), `a.hcl:8 SV0201 service "a" is declared twice`)
}

func TestWhereAServiceMayBeIsNotGuessed(t *testing.T) {
	expect(t, "nodes with a mistake", collisions(t, "a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "b.hcl", ipOf("b", `nodes = "n2"`, `"10.0.0.1/24"`)),
		`b.hcl:2 SV0302 "nodes" must be a list of texts`)
	expect(t, "a mistake in something else", collisions(t, "a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "b.hcl", ipOf("b", `rto = "fast"`, `"10.0.0.1/24"`)),
		`b.hcl:2 SV0303 "fast" is no duration`, `b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too`)
}

func TestPortsOverlapByAddress(t *testing.T) {
	app := func(service, listen string, port int) string {
		return fmt.Sprintf("service %q {\n  app \"main\" {\n    command = [\"/bin/x\"]\n    env = {%s}\n    port = %d\n  }\n}\n", service, listen, port)
	}
	const all, one, other = `LISTEN = "*"`, `LISTEN = "10.0.0.1"`, `LISTEN = "10.0.0.2"`
	for _, c := range []struct {
		a, b string
		port int
		want []string
	}{
		{all, all, 80, []string{`b.hcl:5 SV0502 port tcp/*:80 is a/app.main's too`}},
		{one, all, 80, []string{`b.hcl:5 SV0502 port tcp/*:80 is a/app.main's too`}},
		{all, one, 80, []string{`b.hcl:5 SV0502 port tcp/10.0.0.1:80 is a/app.main's too`}},
		{one, one, 80, []string{`b.hcl:5 SV0502 port tcp/10.0.0.1:80 is a/app.main's too`}},
		{one, other, 80, nil},
		{all, all, 81, nil},
	} {
		expect(t, c.a+" and "+c.b, collisions(t, "a.hcl", app("a", c.a, 80), "b.hcl", app("b", c.b, c.port)), c.want...)
	}
	expect(t, "three", collisions(t, "a.hcl", app("a", one, 80), "b.hcl", app("b", other, 80), "c.hcl", app("c", all, 80)),
		`c.hcl:5 SV0502 port tcp/*:80 is a/app.main's too`)
}

func TestMountsCollideByPointAndByDevice(t *testing.T) {
	a := mountOf("a", "", `"/srv/a"`, `device = "/dev/x"`)
	ro := mountOf("a", "", `"/srv/a"`, "device = \"/dev/x\"\n options = [\"ro\"]")
	for _, c := range []struct {
		name, a, b string
		want       []string
	}{
		{"one point", a, mountOf("b", "", `"/srv/a"`, `device = "/dev/y"`), []string{"b.hcl:4 SV0503 mount point /srv/a is a/mount.data's too"}},
		{"one device", a, mountOf("b", "", `"/srv/b"`, `device = "/dev/x"`), []string{"b.hcl:5 SV0504 device /dev/x is a/mount.data's too"}},
		{"both", a, mountOf("b", "", `"/srv/a"`, `device = "/dev/x"`), []string{
			"b.hcl:4 SV0503 mount point /srv/a is a/mount.data's too", "b.hcl:5 SV0504 device /dev/x is a/mount.data's too"}},
		{"both read it only", ro, mountOf("b", "", `"/srv/b"`, "device = \"/dev/x\"\n options = [\"ro\"]"), nil},
		{"one writes", ro, mountOf("b", "", `"/srv/b"`, `device = "/dev/x"`), []string{"b.hcl:5 SV0504 device /dev/x is a/mount.data's too"}},
		{"how it is mounted is not known", a, mountOf("b", "", `"/srv/b"`, "device = \"/dev/x\"\n options = [node.name]"), nil},
		{"the device is not known, the point is", a, mountOf("b", "", `"/srv/a"`, "device = \"/dev/${node.name}\""), []string{
			"b.hcl:4 SV0503 mount point /srv/a is a/mount.data's too"}},
		{"the device is misspelt, the point is not", a, mountOf("b", "", `"/srv/a"`, "devise = \"/dev/x\""), []string{
			"b.hcl:4 SV0503 mount point /srv/a is a/mount.data's too", `b.hcl:5 SV0104 mount has no argument "devise"`}},
	} {
		o := testOptions
		o.Node = Node{}
		expect(t, c.name, collisionsFor(t, o, "a.hcl", c.a, "b.hcl", c.b), c.want...)
	}
}

func TestReadersOfADeviceMeetTheFirstThatWrites(t *testing.T) {
	var files []string
	for i, options := range []string{`["ro"]`, `["ro"]`, `[]`, `["ro"]`, `[]`} {
		files = append(files, fmt.Sprintf("%d.hcl", i), mountOf(fmt.Sprintf("s%d", i), "", fmt.Sprintf(`"/srv/s%d"`, i), "device = \"/dev/x\"\n options = "+options))
	}
	expect(t, "five", collisions(t, files...),
		"2.hcl:5 SV0504 device /dev/x is s0/mount.data's too",
		"3.hcl:5 SV0504 device /dev/x is s2/mount.data's too",
		"4.hcl:5 SV0504 device /dev/x is s0/mount.data's too")
}

// What was evaluated for n1 says nothing of n2, where others may be.
func TestAValueForOneNodeCollidesOnThatNodeOnly(t *testing.T) {
	perNode := ipOf("b", "", `{ n1 = "10.0.0.1/24", n2 = "10.0.0.2/24" }[node.name]`)
	expect(t, "the other is elsewhere", collisions(t, "a.hcl", ipOf("a", `nodes = ["n2"]`, `"10.0.0.1/24"`), "b.hcl", perNode))
	expect(t, "the other is there", collisions(t, "a.hcl", ipOf("a", `nodes = ["n1"]`, `"10.0.0.1/24"`), "b.hcl", perNode),
		"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too")
}

// What is the same on every node is compared once, what differs for each node.
func TestBesideAValueForAllNodesOneForEachCollidesToo(t *testing.T) {
	o := testOptions
	o.Nodes = []Node{{Name: "n1"}, {Name: "n2"}}
	expect(t, "a device of n2", collisionsFor(t, o, "a.hcl", mountOf("a", "", `"/srv/a"`, `device = "/dev/n2"`), "b.hcl", mountOf("b", "", `"/srv/b"`, `device = "/dev/${node.name}"`)),
		"b.hcl:5 SV0504 device /dev/n2 is a/mount.data's too")
}

func TestAChangedFileCollidesAsAFreshOne(t *testing.T) {
	m := set("a.hcl", ipOf("a", "", `"10.0.0.1/24"`), "b.hcl", ipOf("b", "", `"10.0.0.2/24"`))
	l := NewLoader(testOptions)
	mustLoad(t, l, m)
	write(m, "b.hcl", ipOf("b", "", `"10.0.0.1/24"`))
	s, findings := l.Load(m)
	if _, fresh := NewLoader(testOptions).Load(m); s != nil || len(findings) != 1 || printed(fresh) != printed(findings) {
		t.Fatalf("changed\n%sfresh\n%s", printed(findings), printed(fresh))
	}
	delete(m, "a.hcl")
	mustLoad(t, l, m)
}

// The work for a set grows with the set: services with claims of their own, services on
// one address but each on a node of its own, readers of one device, and services of which
// each is apart from the one before.
func TestTenThousandServicesAreComparedInLinearWork(t *testing.T) {
	const n = 10_000
	for name, service := range map[string]func(i int) (holding, string, bool){
		"all different": func(i int) (holding, string, bool) { return holding{}, fmt.Sprintf("10.0.%d.%d", i/256, i%256), false },
		"each on its node": func(i int) (holding, string, bool) {
			return holding{nodes: []string{fmt.Sprintf("n%d", i)}}, "10.0.0.1", false
		},
		"all shared": func(i int) (holding, string, bool) { return holding{}, "10.0.0.1", true },
		"all the same": func(i int) (holding, string, bool) {
			return holding{apart: []string{fmt.Sprintf("s%d", i-1)}}, "10.0.0.1", false
		},
	} {
		c := newClaimed(n)
		var found []Finding
		for i := range n {
			h, value, isShared := service(i)
			h.service = fmt.Sprintf("s%d", i)
			h.holders = []holder{{address: Address(h.service + "/x.y"), claims: []held{{key: claimKey(ClaimAddress, "", value), shared: isShared}}}}
			found = c.addHolder(&h, &h.holders[0], found)
		}
		want := 0
		if name == "all the same" {
			want = n - 2 // the second is apart from the first
		}
		if len(found) != want || c.looks > 2*n {
			t.Errorf("%s: %d findings, want %d, by %d comparisons", name, len(found), want, c.looks)
		}
	}
}

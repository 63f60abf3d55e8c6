package main

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/svcctl/svcctl/spec"
)

// foundIn loads services of the real kinds, one a file, and lists the codes found in each.
func foundIn(t *testing.T, bodies ...string) (out []string) {
	t.Helper()
	files := fstest.MapFS{}
	for i, body := range bodies {
		files[fmt.Sprintf("%d.hcl", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "service \"s%d\" {\n%s\n}\n", i, body)}
	}
	_, found := spec.NewLoader(spec.Options{Kinds: newKinds(nil)}).Load(files)
	for _, f := range found {
		out = append(out, f.File[:1]+" "+f.Code)
	}
	return out
}

func TestServicesOfTheRealKindsCollideWhereTheyClaimTheSame(t *testing.T) {
	for _, c := range []struct{ name, a, b, want string }{
		{"ip", `ip "a" {
  address = "10.0.0.1/24"
  interface = "eth0"
}`, `ip "b" {
  address = "10.0.0.1/32"
  interface = "lo"
}`, "1 SV0501"},
		{"container", `container "a" {
  image = "x"
  ports = ["80", "127.0.0.1:8080:80"]
}`, `container "b" {
  image = "x"
  ports = ["8080:80"]
}`, "1 SV0502"},
		{"container's name", `container "a" {
  image = "x"
  name = "web"
}`, `container "b" {
  image = "y"
  name = "web"
}`, "1 SV0505"},
		{"mount", `mount "a" {
  path = "/srv/a"
  type = "tmpfs"
}`, `mount "b" {
  path = "/srv/a"
  device = "/srv/b"
  type = "bind"
}`, "1 SV0503"},
		{"device", `mount "a" {
  path = "/srv/a"
  device = "/dev/vg0/x"
}`, `mount "b" {
  path = "/srv/b"
  device = "/dev/mapper/vg0-x"
}`, "1 SV0504"},
		{"loop", `loop "a" { file = "/srv/x.img" }`, `loop "b" { file = "/srv/x.img" }`, "1 SV0506"},
		{"loop's device", `loop "a" {
  file = "/srv/x.img"
  device = "/dev/loop7"
}`, `loop "b" {
  file = "/srv/y.img"
  device = "/dev/loop7"
}`, "1 SV0504"},
		{"netns", `netns "a" { name = "blue" }`, `netns "b" { name = "blue" }`, "1 SV0505"},
		{"systemd", `systemd "a" { unit = "nginx.service" }`, `systemd "b" { unit = "nginx.service" }`, "1 SV0505"},
		{"route", `route "a" {
  destination = "10.1.0.0/16"
  gateway = "10.0.0.1"
}`, `route "b" {
  destination = "10.1.0.0/16"
  interface = "eth0"
}`, "1 SV0505"},
	} {
		if got := foundIn(t, c.a, c.b); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

func TestServicesThatLookAlikeDoNotCollide(t *testing.T) {
	for name, bodies := range map[string][]string{
		"addresses in namespaces of their own": {`netns "n" {}
ip "a" {
  address = "10.0.0.1/24"
  netns   = netns.n.name
  bridge  = "br0"
}
route "r" {
  destination = "default"
  gateway = "10.0.0.254"
  netns = netns.n.name
}`, `netns "n" {}
ip "a" {
  address = "10.0.0.1/24"
  netns   = netns.n.name
  bridge  = "br0"
}
route "r" {
  destination = "default"
  gateway = "10.0.0.254"
  netns = netns.n.name
}`},
		"link-local addresses of two links": {`ip "a" {
  address = "fe80::1/64"
  interface = "eth0"
}`, `ip "b" {
  address = "fe80::1/64"
  interface = "eth1"
}`},
		"ports of several protocols and addresses": {`container "a" {
  image = "x"
  ports = ["53:53/tcp", "127.0.0.1:80:80", "[::1]:80:80"]
}`, `container "b" {
  image = "x"
  ports = ["53:53/udp", "127.0.0.2:80:80", "80"]
}`},
		"one port on both families": {`container "a" {
  image = "x"
  ports = ["0.0.0.0:53:53/udp", "[::]:53:53/udp"]
}`},
		"names of two engines": {`container "a" {
  image = "x"
  name = "web"
  engine = "docker"
}`, `container "b" {
  image = "x"
  name = "web"
  engine = "podman"
}`},
		"what servers share": {`mount "a" {
  device = "nas:/export"
  path = "/srv/a"
  type = "nfs"
}`, `mount "b" {
  device = "nas:/export"
  path = "/srv/b"
  type = "nfs"
}`},
		"what is shown twice": {`mount "a" {
  device = "/opt/x"
  path = "/srv/a"
  type = "bind"
}`, `mount "b" {
  device = "/opt/x"
  path = "/srv/b"
  type = "bind"
}`},
		"subvolumes": {`mount "a" {
  device = "/dev/sdb"
  path = "/srv/a"
  type = "btrfs"
  options = ["subvol=a"]
}`, `mount "b" {
  device = "/dev/sdb"
  path = "/srv/b"
  type = "btrfs"
  options = ["subvol=b"]
}`},
		"a loop device and the mount of it": {`loop "a" {
  file = "/var/a.img"
  device = "/dev/loop7"
}
mount "a" {
  device = loop.a.device
  path = "/srv/a"
}`},
		"units of the host and of a user": {`systemd "a" { unit = "nginx.service" }`, `systemd "b" {
  unit = "nginx.service"
  scope = "user"
}`},
		"routes of other tables and metrics": {`route "a" {
  destination = "10.1.0.0/16"
  gateway = "10.0.0.1"
}
route "b" {
  destination = "10.1.0.0/16"
  gateway = "10.0.0.2"
  metric = 5
}`, `route "a" {
  destination = "10.1.0.0/16"
  gateway = "10.0.0.1"
  table = 7
}`},
		"containers' own paths and the program's folder": {`mount "a" {
  device = "/dev/sdb"
  path = "/opt/shop/data"
}
container "c" {
  image = "x"
  command = ["x", "/opt/shop/data", "/opt/shop/dat"]
  volumes = ["/opt/shop/config:/config:ro", "data:/opt/shop/data"]
}
app "x" {
  command = ["/opt/shop/server", "--config=/opt/shop/shop.conf", "--data", mount.a.path]
  cwd = "/opt/shop"
}`},
	} {
		if got := foundIn(t, bodies...); len(got) > 0 {
			t.Errorf("%s: found %q", name, got)
		}
	}
}

func TestPathsOfTheRealKindsAreComparedWithTheMountsOfTheService(t *testing.T) {
	const mount = `mount "data" {
  device = "/dev/sdb"
  path = "/srv/shop/data"
}
`
	for name, c := range map[string]struct{ body, want string }{
		"app's folder":     {"app \"a\" {\n command = [\"/bin/a\"]\n cwd = \"/srv/shop/data/x\"\n}", "0 SV0508"},
		"app's sandbox":    {"app \"a\" {\n command = [\"/bin/a\"]\n sandbox {\n read_write_paths = [\"/srv/shop/data\"]\n }\n}", "0 SV0508"},
		"what it hides":    {"app \"a\" {\n command = [\"/bin/a\"]\n sandbox {\n inaccessible_paths = [\"/srv/shop/data\"]\n }\n}", ""},
		"task":             {"task \"a\" {\n command = [\"/bin/a\", \"-o/srv/shop/data\"]\n}", "0 SV0508"},
		"container":        {"container \"a\" {\n image = \"x\"\n volumes = [\"/srv/shop/data:/data\"]\n}", "0 SV0508"},
		"container's slip": {"container \"a\" {\n image = \"x\"\n volumes = [\"/srv/shop/dta:/data\"]\n}", "0 SV0509"},
		"bind mount":       {"mount \"b\" {\n device = \"/srv/shop/data/x\"\n path = \"/srv/b\"\n type = \"bind\"\n}", "0 SV0508"},
		"loop":             {"loop \"l\" { file = \"/srv/shop/data/x.img\" }", "0 SV0508"},
		"loop beside it":   {"loop \"l\" { file = \"/srv/shop/image\" }", ""},
		"app after it":     {"app \"a\" {\n command = [\"/bin/a\", \"/srv/shop/data\"]\n after = [mount.data]\n}", ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		if got := foundIn(t, mount+c.body); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", name, got, want)
		}
	}
}

package container

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestAContainerClaimsItsNameAndThePortsOfTheHost(t *testing.T) {
	port := func(field, value string) spec.Claim {
		return spec.Claim{Sort: spec.ClaimPort, Value: value, Field: field}
	}
	name := func(engine string) []spec.Claim {
		return []spec.Claim{{Sort: spec.ClaimName, Value: "container web", Field: "name", Domain: engine}}
	}
	for _, c := range []struct {
		name   string
		config Config
		want   []spec.Claim
	}{
		{"nothing", Config{Image: "x"}, nil},
		{"a name", Config{Name: "web"}, name("docker")},
		{"a name of Docker's", Config{Name: "web", Engine: "docker"}, name("docker")},
		{"by Docker's socket", Config{Name: "web", Engine: "unix:///var/run/docker.sock"}, name("docker")},
		{"a name of Podman's", Config{Name: "web", Engine: "podman"}, name("podman")},
		{"a user's engine", Config{Name: "web", Engine: "unix:///run/user/1000/podman/podman.sock"}, name("unix:///run/user/1000/podman/podman.sock")},
		{"every address", Config{Ports: []string{"8080:80"}}, []spec.Claim{port("ports.0", "tcp/*:8080")}},
		{"every address, said so", Config{Ports: []string{"0.0.0.0:8080:80", "[::]:8081:80"}}, []spec.Claim{port("ports.0", "tcp/*:8080"), port("ports.1", "tcp/*:8081")}},
		{"one address", Config{Ports: []string{"127.0.0.1:8080:80/udp"}}, []spec.Claim{port("ports.0", "udp/127.0.0.1:8080")}},
		{"one of IPv6", Config{Ports: []string{"[FD00:0::1]:8080:80"}}, []spec.Claim{port("ports.0", "tcp/fd00::1:8080")}},
		{"zeros in front", Config{Ports: []string{"08080:80"}}, []spec.Claim{port("ports.0", "tcp/*:8080")}},
		{"the engine chooses", Config{Ports: []string{"80"}}, nil},
		{"a mistake beside it", Config{Ports: []string{"x:80", "53:53/udp"}}, []spec.Claim{port("ports.1", "udp/*:53")}},
		{"the host's network", Config{Network: "host"}, nil},
	} {
		if got := c.config.Claims(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestContainersWithoutNamesMayClaimOneName(t *testing.T) {
	want := []spec.Claim{{Sort: spec.ClaimName, Value: "container svcctl-a-b-c", Field: "name", Domain: "docker"}}
	for _, address := range []spec.Address{"a/container.b-c", "a-b/container.c", "a/b/container.c", `a/container.b["c"]`} {
		c := &Config{Image: "x"}
		before := c.digest()
		c.SetAddress(address)
		if got := c.Claims(); !slices.Equal(got, want) {
			t.Errorf("%s claims %+v, want %+v", address, got, want)
		}
		if c.digest() != before {
			t.Error("what an older svcctl started is taken for another one")
		}
		c.Name = "own"
		if got := c.Claims(); got[0].Value != "container own" {
			t.Errorf("%s claims %+v beside its name", address, got)
		}
	}
}

func TestAContainerUsesWhatItIsShownOfTheHost(t *testing.T) {
	c := &Config{Volumes: []string{"data:/data", "/srv/a/:/b:ro"}, Command: []string{"x", "/inside"}, Workdir: "/inside"}
	if got := c.Paths(); len(got) != 1 || !slices.Equal(got["volumes"], []string{"", "/srv/a"}) {
		t.Errorf("it uses %q", got)
	}
}

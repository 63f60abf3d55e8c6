package loop

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestALoopClaimsItsFileAndItsDeviceAmongLoopDevices(t *testing.T) {
	file := spec.Claim{Sort: spec.ClaimFile, Value: "/var/lib/a.img", Field: "file"}
	read := file
	read.Shared = true
	device := spec.Claim{Sort: spec.ClaimDevice, Value: "/dev/loop7", Field: "device", Domain: "loop devices"}
	for _, c := range []struct {
		config Config
		want   []spec.Claim
	}{
		{Config{File: "/var/lib/a.img"}, []spec.Claim{file}},
		{Config{File: "/var/lib/a.img", ReadOnly: true}, []spec.Claim{read}},
		{Config{File: "/var/lib/a.img", Device: "/dev/loop7"}, []spec.Claim{file, device}},
		{Config{File: "a.img"}, nil},
	} {
		if got := c.config.Claims(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %+v, want %+v", c.config, got, c.want)
		}
	}
	if got := (&Config{File: "/var/lib/a.img"}).Paths()["file"]; !slices.Equal(got, []string{"/var/lib/a.img"}) {
		t.Errorf("it uses %q", got)
	}
}

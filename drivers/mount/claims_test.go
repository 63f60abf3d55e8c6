package mount

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestAMountClaimsItsPointAndItsBlockDevice(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		device string // "": none
		shared bool
	}{
		{"a device", Config{Device: "/dev/sdb1", Type: "ext4"}, "/dev/sdb1", false},
		{"whatever is on it", Config{Device: "/dev/sdb1", Type: "auto"}, "/dev/sdb1", false},
		{"a tag", Config{Device: "UUID=ab-cd", Type: "xfs"}, "UUID=ab-cd", false},
		{"udev's link of the tag", Config{Device: "/dev/disk/by-uuid/ab-cd", Type: "xfs"}, "UUID=ab-cd", false},
		{"a logical volume", Config{Device: "/dev/vg0/data", Type: "xfs"}, "/dev/vg0/data", false},
		{"its other name", Config{Device: "/dev/mapper/vg0-data", Type: "xfs"}, "/dev/vg0/data", false},
		{"its other name with dashes", Config{Device: "/dev/mapper/vg--0-da--ta", Type: "xfs"}, "/dev/vg-0/da-ta", false},
		{"no logical volume", Config{Device: "/dev/mapper/luks-1-2", Type: "xfs"}, "/dev/mapper/luks-1-2", false},
		{"no logical volume either", Config{Device: "/dev/mapper/crypt", Type: "xfs"}, "/dev/mapper/crypt", false},
		{"read only", Config{Device: "/dev/sdb1", Type: "ext4", Options: []string{"noatime,ro"}}, "/dev/sdb1", true},
		{"written after all", Config{Device: "/dev/sdb1", Type: "ext4", Options: []string{"ro", "rw"}}, "/dev/sdb1", false},
		{"a subvolume", Config{Device: "/dev/sdb1", Type: "auto", Options: []string{"subvol=a"}}, "/dev/sdb1", true},
		{"btrfs", Config{Device: "/dev/sdb1", Type: "btrfs"}, "/dev/sdb1", true},
		{"in memory", Config{Type: "tmpfs"}, "", false},
		{"what is elsewhere", Config{Device: "/srv/x", Type: "bind"}, "", false},
		{"a server's", Config{Device: "nas:/export", Type: "nfs"}, "", false},
		{"a server's, too", Config{Device: "nas:/export", Type: "nfs4"}, "", false},
		{"a share", Config{Device: "//nas/share", Type: "cifs"}, "", false},
	} {
		c.config.Path = "/srv/a"
		want := []spec.Claim{{Sort: spec.ClaimMount, Value: "/srv/a", Field: "path"}}
		if c.device != "" {
			want = append(want, spec.Claim{Sort: spec.ClaimDevice, Value: c.device, Field: "device", Shared: c.shared})
		}
		if got := c.config.Claims(); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
	if got := (&Config{Path: "srv", Type: "tmpfs"}).Claims(); got != nil {
		t.Errorf("what is no mount point claims %+v", got)
	}
}

func TestABindMountUsesItsSource(t *testing.T) {
	if got := (&Config{Device: "/srv/a", Type: "bind"}).Paths()["device"]; !slices.Equal(got, []string{"/srv/a"}) {
		t.Errorf("it uses %q", got)
	}
	if got := (&Config{Device: "/dev/sdb1", Type: "ext4"}).Paths(); got != nil {
		t.Errorf("a device is no path: %v", got)
	}
}

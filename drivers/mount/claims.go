package mount

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer. What a server shares, and what a bind mount shows, may
// be mounted any number of times.
func (c *Config) Claims() (out []spec.Claim) {
	if filepath.IsAbs(c.Path) {
		out = append(out, spec.Claim{Sort: spec.ClaimMount, Value: filepath.Clean(c.Path), Field: "path"})
	}
	if d := c.blockDevice(); d != "" {
		out = append(out, spec.Claim{Sort: spec.ClaimDevice, Value: d, Field: "device", Shared: c.readOnly() || c.subvolumes()})
	}
	return out
}

// subvolumes says whether several mounts of one device are the usual case.
func (c *Config) subvolumes() bool {
	return c.Type == "btrfs" || slices.ContainsFunc(c.options(), func(o string) bool {
		return strings.HasPrefix(o, "subvol=") || strings.HasPrefix(o, "subvolid=")
	})
}

// byTag are udev's folders of links, and the tags that mean the same.
var byTag = map[string]string{
	"/dev/disk/by-uuid/": "UUID=", "/dev/disk/by-label/": "LABEL=",
	"/dev/disk/by-partuuid/": "PARTUUID=", "/dev/disk/by-partlabel/": "PARTLABEL=",
}

// blockDevice is the device in one spelling; "" where there is none.
func (c *Config) blockDevice() string {
	switch {
	case c.network(), c.Type == "bind", c.Type == "tmpfs":
		return ""
	case !filepath.IsAbs(c.Device):
		return c.Device
	}
	d := filepath.Clean(c.Device)
	for dir, tag := range byTag {
		if value, is := strings.CutPrefix(d, dir); is {
			return tag + value
		}
	}
	if name, is := strings.CutPrefix(d, "/dev/mapper/"); is {
		return volume(name)
	}
	return d
}

// volume is the path of a logical volume by its group, which doubles the dashes of both
// names and puts one between them. Other names of the device mapper stay as they are.
func volume(name string) string {
	const dash = "\x00"
	group, volume, is := strings.Cut(strings.ReplaceAll(name, "--", dash), "-")
	if !is || group == "" || volume == "" || strings.Contains(volume, "-") {
		return "/dev/mapper/" + name
	}
	return "/dev/" + strings.ReplaceAll(group, dash, "-") + "/" + strings.ReplaceAll(volume, dash, "-")
}

// Paths implements spec.PathUser.
func (c *Config) Paths() map[string][]string {
	if c.Type != "bind" {
		return nil
	}
	return map[string][]string{"device": {c.Device}}
}

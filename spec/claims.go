package spec

// Claim is something of which a node has one: two resources that claim the same, and
// may be up on one node at a time, collide.
type Claim struct {
	Sort  ClaimSort
	Value string // in one spelling, so that equal means the same: a cleaned path, an address without its prefix length
	Field string // the argument that says so; it is pointed at, or a part of it: "path", "ports.1", "env.NAME", "block.argument"

	// Domain keeps apart what can't collide though it looks alike: the network namespace
	// of an address or port, the container engine of a name. "" is the host itself.
	Domain string

	// Shared claims collide only with those that are not: two read-only mounts of one device.
	Shared bool
}

// ClaimSort says what is claimed.
type ClaimSort string

// What a node has one of.
const (
	ClaimAddress ClaimSort = "address"     // "10.0.0.10", "fd00::1"
	ClaimPort    ClaimSort = "port"        // "tcp/10.0.0.10:8080"; "tcp/*:8080" claims it on every address
	ClaimMount   ClaimSort = "mount point" // an absolute path
	ClaimDevice  ClaimSort = "device"      // an absolute path, or what names it as UUID=…
	ClaimName    ClaimSort = "name"        // with what bears it: "container orders", "unit nginx.service", "network namespace blue"
	ClaimFile    ClaimSort = "file"        // an absolute path of an image
)

// Claimer is implemented by a *Config that claims what a node has one of. A claim whose
// Field is mistaken or not known yet is not heard. It reads nothing but the Config.
type Claimer interface{ Claims() []Claim }

// PathUser is implemented by a *Config whose arguments hold paths of files that it uses:
// those of a command, a working folder, a bind mount's source. By field, as that of a
// Claim, the words in the order of a list argument. Only absolute paths are looked at,
// also in words such as --data=/srv/x.
type PathUser interface{ Paths() map[string][]string }

package container

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// The labels by which a container is known again. The name alone proves nothing.
const (
	labelAddress = "svcctl.address"
	labelNode    = "svcctl.node"
	labelDigest  = "svcctl.digest"
)

// credentialsInside is where a container finds its credentials.
const credentialsInside = "/run/svcctl-credentials"

var nameForm = drivers.Expression(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

var notInNames = drivers.Expression(`[^a-zA-Z0-9_.-]+`)

// nameOf is the container's name.
func nameOf(o drivers.Opening, c *Config) string { return cmp.Or(c.Name, defaultName(o.Address)) }

// defaultName is svcctl-orders-main for orders/container.main.
func defaultName(a spec.Address) string {
	local := a.Local()
	if _, name, ok := strings.Cut(local, "."); ok {
		local = name
	}
	return "svcctl-" + strings.Trim(notInNames().ReplaceAllString(a.Service()+"-"+local, "-"), "-")
}

// request is what the engine is asked to make.
func request(o drivers.Opening, c *Config, credentials string) (client.ContainerCreateOptions, error) {
	fail := func(err error) (client.ContainerCreateOptions, error) {
		return client.ContainerCreateOptions{}, fmt.Errorf("cannot create container %s: %w", nameOf(o, c), err)
	}
	env, err := environment(o, c, credentials != "")
	if err != nil {
		return fail(err)
	}
	conf := &container.Config{
		Image: c.Image, Cmd: c.Command, Entrypoint: c.Entrypoint, Env: env, User: c.User, WorkingDir: c.Workdir,
		Hostname: c.Hostname, StopSignal: c.StopSignal, Labels: map[string]string{}, ExposedPorts: network.PortSet{},
	}
	maps.Copy(conf.Labels, c.Labels)
	maps.Copy(conf.Labels, map[string]string{labelAddress: string(o.Address), labelNode: o.Node, labelDigest: c.digest()})
	if h := c.Healthcheck; h != nil {
		conf.Healthcheck = &container.HealthConfig{Test: append([]string{"CMD"}, h.Command...),
			Interval: h.Every, Timeout: h.Timeout, Retries: h.Retries, StartPeriod: h.StartPeriod}
	}
	host, err := hostConfig(c)
	if err != nil {
		return fail(err)
	}
	if credentials != "" {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: credentials, Target: credentialsInside, ReadOnly: true})
	}
	for _, text := range c.Ports {
		p, err := parsePort(text)
		if err != nil {
			return fail(err)
		}
		conf.ExposedPorts[p.inside] = struct{}{}
		host.PortBindings[p.inside] = append(host.PortBindings[p.inside], p.binding)
	}
	return client.ContainerCreateOptions{Name: nameOf(o, c), Config: conf, HostConfig: host}, nil
}

func environment(o drivers.Opening, c *Config, credentials bool) ([]string, error) {
	env := map[string]string{"SVCCTL_ADDRESS": string(o.Address), "SVCCTL_SERVICE": o.Service, "SVCCTL_NODE": o.Node}
	if credentials {
		env["CREDENTIALS_DIRECTORY"] = credentialsInside
	}
	for name, value := range c.Env {
		revealed, err := reveal(o, value)
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(revealed, 0) || !utf8.ValidString(revealed) { // the engine would put other bytes in their place
			return nil, fmt.Errorf("cannot set the variable %s: its secret is no text (give it as a credential instead)", name)
		}
		env[name] = revealed
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out, nil
}

func reveal(o drivers.Opening, text string) (string, error) {
	if o.Reveal == nil {
		return text, nil
	}
	return o.Reveal(text)
}

func hostConfig(c *Config) (*container.HostConfig, error) {
	h := &container.HostConfig{
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled}, // restarts are ours
		NetworkMode:   container.NetworkMode(c.Network), PortBindings: network.PortMap{},
		CapAdd: c.CapAdd, CapDrop: c.CapDrop, Privileged: c.Privileged, ReadonlyRootfs: c.ReadOnly,
		SecurityOpt: slices.Clone(c.SecurityOpt), ExtraHosts: c.ExtraHosts, ShmSize: int64(c.ShmSize),
		LogConfig: container.LogConfig{Type: c.LogDriver, Config: c.LogOptions}, Resources: limits(c),
	}
	if len(c.Networks) > 0 {
		h.NetworkMode = container.NetworkMode(c.Networks[0])
	}
	if c.NoNewPrivs {
		h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges")
	}
	if c.Init {
		h.Init = &c.Init
	}
	for _, a := range c.DNS {
		addr, err := parseAddr(a)
		if err != nil {
			return nil, err
		}
		h.DNS = append(h.DNS, addr)
	}
	for _, t := range c.Tmpfs {
		where, options, _ := strings.Cut(t, ":")
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		h.Tmpfs[where] = options
	}
	for _, v := range c.Volumes {
		m, err := parseVolume(v)
		if err != nil {
			return nil, err
		}
		h.Mounts = append(h.Mounts, m)
	}
	for _, d := range c.Devices {
		m, err := parseDevice(d)
		if err != nil {
			return nil, err
		}
		h.Devices = append(h.Devices, m)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Ulimits)) {
		u, err := parseUlimit(name, c.Ulimits[name])
		if err != nil {
			return nil, err
		}
		h.Ulimits = append(h.Ulimits, u)
	}
	return h, nil
}

// limits are those that can be changed while it runs. Swap is no memory: the limit is
// of both together.
func limits(c *Config) container.Resources {
	r := container.Resources{Memory: int64(c.Memory), MemorySwap: int64(c.Memory), NanoCPUs: nanoCPUs(c.CPU)}
	if c.PIDs > 0 {
		pids := int64(c.PIDs)
		r.PidsLimit = &pids
	}
	return r
}

func nanoCPUs(cores float64) int64 { return int64(cores*1000+0.5) * 1e6 }

type port struct {
	inside  network.Port
	binding network.PortBinding
}

// parsePort reads [ADDRESS:][PORT:]PORT[/PROTOCOL].
func parsePort(s string) (p port, err error) {
	if p.inside, err = network.ParsePort(s[strings.LastIndex(s, ":")+1:]); err != nil {
		return p, errors.New("it does not end in the port inside the container")
	}
	if proto := p.inside.Proto(); proto != network.TCP && proto != network.UDP && proto != network.SCTP {
		return p, fmt.Errorf("the protocol is tcp, udp or sctp, not %q", proto)
	}
	outside := s[:max(0, strings.LastIndex(s, ":"))]
	if outside == "" {
		return p, nil // the engine chooses
	}
	number := outside
	if strings.Contains(outside, ":") {
		host, n, err := net.SplitHostPort(outside)
		if err != nil {
			return p, errors.New("an IPv6 address stands in brackets")
		}
		if p.binding.HostIP, err = parseAddr(host); err != nil {
			return p, fmt.Errorf("%q is no address", host)
		}
		number = n
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
		return p, fmt.Errorf("%q is no port", number)
	}
	p.binding.HostPort = number
	return p, nil
}

func parseAddr(s string) (netip.Addr, error) { return netip.ParseAddr(s) }

var propagations = []mount.Propagation{mount.PropagationRPrivate, mount.PropagationPrivate, mount.PropagationRShared,
	mount.PropagationShared, mount.PropagationRSlave, mount.PropagationSlave}

// parseVolume reads SOURCE:TARGET[:OPTIONS]. A path is bound as it is: what does not
// exist is not made, lest data go to the disk below a mount that is not there.
func parseVolume(s string) (m mount.Mount, err error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return m, errors.New("it is not a source and a target with a colon between")
	}
	m = mount.Mount{Type: mount.TypeVolume, Source: parts[0], Target: parts[1]}
	switch {
	case strings.HasPrefix(m.Source, "/"):
		m.Type, m.Source = mount.TypeBind, path.Clean(m.Source)
	case !nameForm().MatchString(m.Source):
		return m, fmt.Errorf("%q is neither an absolute path nor the name of a volume", m.Source)
	}
	if !strings.HasPrefix(m.Target, "/") || path.Clean(m.Target) == "/" {
		return m, errors.New("the target is no absolute path below the root")
	}
	if len(parts) < 3 {
		return m, nil
	}
	for option := range strings.SplitSeq(parts[2], ",") {
		switch {
		case option == "ro":
			m.ReadOnly = true
		case option == "rw":
		case option == "nocopy" && m.Type == mount.TypeVolume:
			m.VolumeOptions = &mount.VolumeOptions{NoCopy: true}
		case slices.Contains(propagations, mount.Propagation(option)) && m.Type == mount.TypeBind:
			m.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(option)}
		default:
			return m, fmt.Errorf("there is no option %q here; there are ro, rw, for a path rslave and its like, for a volume nocopy", option)
		}
	}
	return m, nil
}

// parseDevice reads HOST[:INSIDE[:PERMISSIONS]].
func parseDevice(s string) (d container.DeviceMapping, err error) {
	parts := strings.Split(s, ":")
	d = container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	if len(parts) > 1 {
		d.PathInContainer = parts[1]
	}
	if len(parts) > 2 {
		d.CgroupPermissions = parts[2]
	}
	if len(parts) > 3 || !strings.HasPrefix(d.PathOnHost, "/") || !strings.HasPrefix(d.PathInContainer, "/") || strings.Trim(d.CgroupPermissions, "rwm") != "" {
		return d, errors.New("it is no path of a device")
	}
	return d, nil
}

func parseUlimit(name, value string) (*container.Ulimit, error) {
	one := func(s string) (int64, error) {
		if s == "unlimited" {
			return -1, nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is no number", s)
		}
		return n, nil
	}
	first, second, both := strings.Cut(value, ":")
	soft, err := one(first)
	if err != nil {
		return nil, err
	}
	hard := soft
	if both {
		if hard, err = one(second); err != nil {
			return nil, err
		}
	}
	if hard != -1 && (soft == -1 || soft > hard) {
		return nil, errors.New("the soft limit is above the hard one")
	}
	return &container.Ulimit{Name: name, Soft: soft, Hard: hard}, nil
}

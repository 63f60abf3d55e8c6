package container

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Config is what a container block may say.
type Config struct {
	Engine      string            `hcl:"engine,optional" doc:"docker, podman, or unix:///path of the socket. Default: Docker's socket where it is, else Podman's."`
	Image       string            `hcl:"image" export:"true" doc:"The image, as docker run takes it: a name with tag or digest, or an id."`
	Pull        string            `hcl:"pull" default:"missing" oneof:"missing always never" doc:"When the image is fetched: where it is missing, before each start that makes a new container, or never."`
	Username    string            `hcl:"username,optional" doc:"The user at the registry. Default: what the engine itself knows."`
	Password    string            `hcl:"password,optional" secret:"true" doc:"The password or token at the registry."`
	Name        string            `hcl:"name,optional" export:"true" doc:"The name of the container. Default: svcctl, the service and the name of the block, with dashes between."`
	Command     []string          `hcl:"command,optional" doc:"What is run, or the arguments of the entrypoint. Default: the image's."`
	Entrypoint  []string          `hcl:"entrypoint,optional" doc:"The program that the command is given to. Default: the image's."`
	Env         map[string]string `hcl:"env,optional" secret:"true" doc:"Variables of its environment. Whoever may talk to the engine can read them: credentials is the place for secrets."`
	Credentials map[string]string `hcl:"credentials,optional" secret:"true" doc:"Files by name and content. They are kept in memory on the host and shown read-only in the folder that CREDENTIALS_DIRECTORY names."`
	User        string            `hcl:"user,optional" doc:"The user, or user:group, by name or number. Default: the image's, which is mostly root."`
	Workdir     string            `hcl:"workdir,optional" doc:"The directory that it starts in. Default: the image's."`
	Hostname    string            `hcl:"hostname,optional" doc:"Its host name. Default: its id."`
	Ports       []string          `hcl:"ports,optional" doc:"What is reachable from outside, as \"127.0.0.1:8080:80/tcp\", \"8080:80\" or \"[::1]:8080:80/udp\"."`
	Volumes     []string          `hcl:"volumes,optional" doc:"What it sees of the host, as \"/srv/data:/data\", or \"/etc/x:/etc/x:ro\"; a name instead of a path is a volume of the engine. A path that does not exist is an error, not an empty directory."`
	Tmpfs       []string          `hcl:"tmpfs,optional" doc:"Directories in memory, as \"/tmp\" or \"/run:size=64m,mode=1777\"."`
	Network     string            `hcl:"network,optional" doc:"bridge, host, none, container:NAME, or a network of the engine. Default: the engine's."`
	Networks    []string          `hcl:"networks,optional" doc:"Several networks of the engine, which must exist."`
	Memory      spec.Bytes        `hcl:"memory,optional" reload:"live" positive:"true" doc:"The most memory that it may use, without swap."`
	CPU         float64           `hcl:"cpu,optional" reload:"live" positive:"true" doc:"The most processor time that it may use, in cores: 0.5 is half of one."`
	PIDs        int               `hcl:"pids,optional" reload:"live" positive:"true" doc:"The most processes and threads that it may have."`
	Ulimits     map[string]string `hcl:"ulimits,optional" doc:"Limits of one process: nofile = \"65536\", or soft:hard."`
	ShmSize     spec.Bytes        `hcl:"shm_size,optional" positive:"true" doc:"The size of /dev/shm. Default: the engine's, mostly 64M."`
	CapAdd      []string          `hcl:"cap_add,optional" doc:"Capabilities beyond the engine's default, such as \"NET_ADMIN\"."`
	CapDrop     []string          `hcl:"cap_drop,optional" doc:"Capabilities that it does not get; \"ALL\" is every one."`
	Privileged  bool              `hcl:"privileged" default:"false" doc:"Every capability and device: it may do to the host what root may."`
	Devices     []string          `hcl:"devices,optional" doc:"Devices that it sees, as \"/dev/x\", or \"/dev/x:/dev/y:rw\"."`
	SecurityOpt []string          `hcl:"security_opt,optional" doc:"Options for the engine's security modules, such as \"seccomp=/etc/profile.json\" or \"apparmor=unconfined\"."`
	NoNewPrivs  bool              `hcl:"no_new_privileges" default:"true" doc:"Its programs gain no privileges by set-user-ID files."`
	ReadOnly    bool              `hcl:"read_only" default:"false" doc:"Its root file system can't be written."`
	Init        bool              `hcl:"init" default:"false" doc:"A small init of the engine's reaps orphans and passes signals on."`
	Labels      map[string]string `hcl:"labels,optional" doc:"Labels beside those of svcctl."`
	ExtraHosts  []string          `hcl:"extra_hosts,optional" doc:"Lines of its /etc/hosts, as \"name:address\"."`
	DNS         []string          `hcl:"dns,optional" doc:"Its name servers. Default: the engine's."`
	StopSignal  string            `hcl:"stop_signal,optional" doc:"The signal that asks it to end. Default: the image's, else TERM."`
	KillAfter   time.Duration     `hcl:"kill_after" default:"10s" reload:"live" doc:"How long after the stop signal it is killed, in whole seconds."`
	LogDriver   string            `hcl:"log_driver,optional" doc:"The engine's log driver. Default: the engine's. svcctl logs needs one that can be read."`
	LogOptions  map[string]string `hcl:"log_options,optional" doc:"Options of the log driver, such as max-size = \"10m\"."`
	Healthcheck *Healthcheck      `hcl:"healthcheck,block" doc:"A command that the engine runs inside it, instead of the image's. Podman runs it only where systemd is PID 1."`
	Unhealthy   string            `hcl:"unhealthy" default:"restart" oneof:"restart report" doc:"What follows when the engine finds it unhealthy: a restart, or only a word in the status."`
	Ready       string            `hcl:"ready" default:"started" oneof:"started healthy check" doc:"When the start is complete: once it runs, once the engine finds it healthy, or once its checks pass."`
	Remove      bool              `hcl:"remove" default:"true" doc:"A stop removes the container with its writable layer and anonymous volumes. A crash never does: the same container is started again."`

	address spec.Address // the default of name is made of it
}

// SetAddress implements spec.Addressed.
func (c *Config) SetAddress(a spec.Address) { c.address = a }

// Healthcheck is the engine's own check, run inside the container.
type Healthcheck struct {
	Command     []string      `hcl:"command" doc:"The program and its arguments: exit code 0 is healthy."`
	Every       time.Duration `hcl:"every" default:"30s" doc:"The time between two runs."`
	Timeout     time.Duration `hcl:"timeout" default:"30s" doc:"How long one run may take."`
	Retries     int           `hcl:"retries" default:"3" doc:"How many runs in a row must fail."`
	StartPeriod time.Duration `hcl:"start_period" default:"0s" doc:"How long after the start failures don't count."`
}

// ReadyByChecks implements spec.ReadyByChecker.
func (c *Config) ReadyByChecks() bool { return c.Ready == "check" }

// digest is that of all that needs another container to change. What has its default
// is left out, so that a newer program adopts what an older one started.
func (c *Config) digest() string {
	h := sha256.New()
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("hcl"), ",")
		if name == "" { // no argument
			continue
		}
		// How it is fetched, stopped and judged is no part of the container.
		if tag.Get("reload") == "live" || f.IsZero() || slices.Contains([]string{"pull", "username", "password", "ready", "unhealthy", "remove"}, name) {
			continue
		}
		b, err := json.Marshal(f.Interface())
		if err != nil {
			panic("internal error: " + err.Error())
		}
		fmt.Fprintf(h, "%s=%s\n", name, b)
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:32]
}

type adder func(field, summary, detail string, args ...any)

// Validate implements spec.Validator.
func (c *Config) Validate() (out []spec.Problem) {
	add := func(field, summary, detail string, args ...any) {
		out = append(out, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
	}
	if c.Engine != "" && c.Engine != "docker" && c.Engine != "podman" && !strings.HasPrefix(c.Engine, "unix:///") {
		add("engine", "Unknown engine", "%q is no engine. Write \"docker\", \"podman\", or the socket as \"unix:///run/user/1000/podman/podman.sock\".", c.Engine)
	}
	if c.Image == "" {
		add("image", "No image", "Write the name of the image, such as \"docker.io/library/postgres:17\".")
	}
	if strings.ContainsAny(c.Image, " \t\n") || strings.HasSuffix(c.Image, ":") || strings.HasSuffix(c.Image, "@") || strings.Contains(c.Image, "://") {
		add("image", "Not the name of an image", "%q: write a name with tag or digest, such as \"docker.io/library/postgres:17\".", c.Image)
	}
	if c.Name != "" && !nameForm().MatchString(c.Name) {
		add("name", "Not a name for a container", "%q: a name has two or more letters, digits, dots, dashes or underscores, a letter or digit first.", c.Name)
	}
	for _, cmd := range []struct {
		field string
		words []string
	}{{"command", c.Command}, {"entrypoint", c.Entrypoint}} {
		if cmd.words != nil && (len(cmd.words) == 0 || cmd.words[0] == "") {
			add(cmd.field, "Empty "+cmd.field, "Leave it out to take the image's, or write a program.")
		}
		if cmd.field == "entrypoint" { // a command may be the text that an entrypoint such as sh -c takes
			out = append(out, spec.OneText(cmd.field, cmd.words)...)
		}
	}
	for name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			add("env", "Not a name for a variable", "%q can't be the name of a variable.", name)
		}
	}
	for name := range c.Credentials {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			add("credentials", "Not a name for a file", "%q can't be the name of a file.", name)
		}
	}
	c.validatePlaces(add)
	c.validateNetwork(add)
	c.validateLimits(add)
	return out
}

func (c *Config) validatePlaces(add adder) {
	if c.Workdir != "" && !strings.HasPrefix(c.Workdir, "/") {
		add("workdir", "Relative directory", "%q is not absolute. Write a path that begins with a slash.", c.Workdir)
	}
	for _, v := range c.Volumes {
		if _, err := parseVolume(v); err != nil {
			add("volumes", "Not a volume", "%q: %v. Write \"/srv/data:/data\", \"/etc/x:/etc/x:ro\" or \"name:/data\".", v, err)
		}
	}
	for _, t := range c.Tmpfs {
		if !strings.HasPrefix(t, "/") {
			add("tmpfs", "Relative directory", "%q: write an absolute path, with options behind a colon: \"/run:size=64m\".", t)
		}
	}
	for _, d := range c.Devices {
		if _, err := parseDevice(d); err != nil {
			add("devices", "Not a device", "%q: %v. Write \"/dev/x\" or \"/dev/x:/dev/y:rw\".", d, err)
		}
	}
	if c.Password != "" && c.Username == "" {
		add("username", "No username", "A password for the registry needs a username; for a token write what the registry asks for.")
	}
}

func (c *Config) validateNetwork(add adder) {
	for _, p := range c.Ports {
		if _, err := parsePort(p); err != nil {
			add("ports", "Not a port", "%q: %v. Write \"127.0.0.1:8080:80/tcp\" or \"8080:80\".", p, err)
		}
	}
	if c.Network == "container:" {
		add("network", "No container", "Write whose network it shares: \"container:NAME\".")
	}
	if c.Network != "" && len(c.Networks) > 0 {
		add("networks", "Two ways to say the network", "Write network for one, or networks for several.")
	}
	shared := c.Network == "host" || c.Network == "none" || strings.HasPrefix(c.Network, "container:")
	if shared && len(c.Ports) > 0 {
		add("ports", "Ports without a network of its own", "With network = %q no port can be published. Leave ports out, or take another network.", c.Network)
	}
	for _, a := range c.DNS {
		if _, err := parseAddr(a); err != nil {
			add("dns", "Not an address", "%q: write the address of a name server.", a)
		}
	}
	for _, h := range c.ExtraHosts {
		if name, address, ok := strings.Cut(h, ":"); !ok || name == "" || address == "" {
			add("extra_hosts", "Not a host", "%q: write \"name:address\".", h)
		}
	}
}

func (c *Config) validateLimits(add adder) {
	if c.Memory != 0 && c.Memory < 6<<20 {
		add("memory", "Too little memory", "An engine starts no container with less than 6M.")
	}
	if c.CPU < 0 {
		add("cpu", "Negative limit", "Write how many cores it may use, such as 0.5.")
	}
	if c.PIDs < 0 {
		add("pids", "Negative limit", "Write how many processes it may have.")
	}
	if c.KillAfter < 0 {
		add("kill_after", "Negative time", "Write how long it may take to end, such as \"10s\".")
	}
	for name, value := range c.Ulimits {
		if _, err := parseUlimit(name, value); err != nil {
			add("ulimits", "Not a limit", "%s = %q: %v. Write a number, or soft:hard.", name, value, err)
		}
	}
	if h := c.Healthcheck; h != nil {
		if len(h.Command) == 0 || h.Command[0] == "" {
			add("healthcheck", "No command", "A healthcheck needs command = [\"…\"].")
		}
		if h.Every < time.Millisecond || h.Timeout < time.Millisecond || h.Retries < 1 || h.StartPeriod < 0 {
			add("healthcheck", "Not a time", "every and timeout are at least 1ms, retries at least 1.")
		}
	}
}

// Notes implements spec.Noter.
func (c *Config) Notes() (out []spec.Problem) {
	note := func(field, summary, detail string) {
		out = append(out, spec.Problem{Field: field, Summary: summary, Detail: detail})
	}
	if c.Privileged {
		note("privileged", "It may do what root may", "A privileged container is no boundary. Give it the capabilities and devices that it needs instead.")
	}
	for _, v := range c.Volumes {
		if m, err := parseVolume(v); err == nil && (strings.HasSuffix(m.Source, "/docker.sock") || strings.HasSuffix(m.Source, "/podman.sock")) {
			note("volumes", "It may command the engine", "Whoever has the socket of the engine is root on the host, read-only or not.")
		}
	}
	if c.Network == "host" {
		note("network", "It uses the network of the host", "It reaches what listens on loopback only, and its ports are open wherever it listens.")
	}
	switch user, _, _ := strings.Cut(c.User, ":"); user {
	case "root", "0":
		note("user", "It runs as root", "Root in a container is root of the host for every file that it is shown. Name another user where the program allows it.")
	case "":
		note("user", "It runs as the user of its image", "That is root unless the image says otherwise. Name a user.")
	}
	if c.Memory == 0 {
		note("memory", "It may use all memory", "Without a limit it can bring the host down. Write memory = \"512M\", or what it needs.")
	}
	if c.PIDs == 0 {
		note("pids", "It may have any number of processes", "Write pids = 512, or what it needs.")
	}
	for name, value := range c.Env {
		if len(spec.SecretsIn(value)) > 0 {
			note("env", "A secret in the environment", strconv.Quote(name)+" can be read by whoever may talk to the engine. Use credentials, which are files in memory.")
			break
		}
	}
	return out
}

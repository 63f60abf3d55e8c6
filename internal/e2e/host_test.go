package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/internal/lab"
)

// What the host of these tests is given before svcctl comes: a network of its own that
// goes down late, and an app that writes down what it still had when it was stopped.
const (
	labNetwork = `[Unit]
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link add eth0 type veth peer name peer0; ip link set eth0 up; ip link set peer0 up; ip addr add 10.77.0.1/24 dev eth0'
ExecStop=/bin/sh -c 'echo network stops >>/var/log/order; ip link del eth0'
[Install]
WantedBy=multi-user.target
`
	labJob = `[Service]
ExecStart=/bin/sh -c 'echo the job begins; exec sleep infinity'
`
	labApp = `#!/bin/sh
stop() {
	echo "$1 stops, address $(ip -o addr show dev eth0 | grep -c 10.77.0.10), mount $(grep -c ' /srv/scratch ' /proc/mounts)" >>/var/log/order
	exit 0
}
trap 'stop '$1 TERM
echo "$1 started" >>/var/log/order
while :; do sleep 1000 & wait; done
`
	labServices = `
service "shop" {
  mount "scratch" {
    path   = "/srv/scratch"
    type   = "tmpfs"
  }
  ip "vip" {
    address   = "10.77.0.10/24"
    interface = "eth0"
  }
  app "database" {
    command = ["/opt/app", "database"]
    after   = [mount.scratch, ip.vip]
  }
  app "web" {
    command = ["/opt/app", "web"]
    after   = [app.database]
  }
}

service "unit" {
  systemd "job" {
    unit = "lab-job.service"
  }
}

service "hangs" {
  app "deaf" {
    command    = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1000 & wait; done"]
    kill_after = "2s"
  }
}
`
)

// packages builds the package of this tree twice: one that is older, from the commit
// before where that can be built.
func packages(t *testing.T) (older, newer string) {
	t.Helper()
	dir := t.TempDir()
	build := func(tree, version string) (string, error) {
		out := filepath.Join(dir, version)
		said, err := command(tree, "env", "VERSION="+version, "OUT="+out, "scripts/packages.sh")
		if err != nil {
			t.Log(said)
			return "", err
		}
		debs, _ := filepath.Glob(filepath.Join(out, "*.deb"))
		rpms, _ := filepath.Glob(filepath.Join(out, "*.rpm"))
		if len(debs) != 1 || len(rpms) != 1 {
			t.Fatalf("packages of %s: %v %v", version, debs, rpms)
		}
		if version == "0.0.2" {
			installsAsRPM(t, rpms[0])
		}
		return debs[0], nil
	}
	before := filepath.Join(dir, "before")
	if said, err := command(module, "sh", "-c", "mkdir "+before+" && git archive HEAD~1 | tar -x -C "+before+" && test -x "+before+"/scripts/packages.sh"); err != nil {
		t.Logf("the older package is of this tree too: %v %s", err, said)
		before = module
	}
	var err error
	if older, err = build(before, "0.0.1"); err != nil {
		t.Fatal(err)
	}
	if newer, err = build(module, "0.0.2"); err != nil {
		t.Fatal(err)
	}
	return older, newer
}

// installsAsRPM unpacks the package below a folder, as rpm does it, without its scripts.
func installsAsRPM(t *testing.T, file string) {
	t.Helper()
	dir := t.TempDir()
	if said, err := command("/", "rpm", "--root", dir, "--nodeps", "--noscripts", "--install", file); err != nil {
		t.Fatalf("rpm does not install it: %v\n%s", err, said)
	}
	for _, path := range []string{"usr/bin/svcctl", "usr/bin/svcctl-keeper", "usr/lib/systemd/system/svcctl-services.service",
		"usr/share/man/man1/svcctl-status.1.gz", "usr/share/bash-completion/completions/svcctl", "etc/svcctl/agent.hcl"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Errorf("the rpm brings no %s", path)
		}
	}
	if said, err := command("/", "rpm", "--root", dir, "--query", "--configfiles", "svcctl"); err != nil || !strings.Contains(said, "/etc/svcctl/agent.hcl") {
		t.Errorf("agent.hcl is no configuration file of the rpm: %v %s", err, said)
	}
	if said, err := command("/", "rpm", "--root", dir, "--noscripts", "--erase", "svcctl"); err != nil {
		t.Errorf("rpm does not remove it: %v\n%s", err, said)
	}
}

// machine is a lab host whose commands must succeed.
type machine struct {
	*testing.T
	host *lab.Host
	ctx  context.Context
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	image, err := lab.Debian()
	if err != nil {
		t.Fatal(err)
	}
	host, err := lab.NewHost("e2ehost", image, filepath.Join(root, "host"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(host.Console())
		}
		cancel()
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return &machine{T: t, host: host, ctx: ctx}
}

func (m *machine) run(line string) string {
	m.Helper()
	out, err := m.host.Run(m.ctx, "sh", "-c", line)
	if err != nil {
		m.Fatal(err)
	}
	return out
}

func (m *machine) write(path, text string, mode os.FileMode) {
	m.Helper()
	if err := m.host.Write(path, text, mode); err != nil {
		m.Fatal(err)
	}
}

// until looks again and again until a command succeeds.
func (m *machine) until(line string) {
	m.Helper()
	m.run("for i in $(seq 600); do " + line + " && exit 0; sleep 0.1; done; svcctl status -v; systemctl status --no-pager 'svcctl*'; journalctl -n 60 --no-pager; exit 1")
}

// pids are the main processes of the services, by address.
func (m *machine) pids() string {
	m.Helper()
	out := m.run("svcctl status -v")
	return strings.Join(regexp.MustCompile(`app\.\w+|pid \d+`).FindAllString(out, -1), " ")
}

func (m *machine) order() []string {
	m.Helper()
	b, err := os.ReadFile(m.host.Path("/var/log/order"))
	if err != nil {
		m.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func TestThePackageLivesWithItsHost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may boot a host in namespaces")
	}
	older, newer := packages(t)
	m := newMachine(t)
	for from, to := range map[string]string{older: "/root/older.deb", newer: "/root/newer.deb"} {
		if err := m.host.Copy(from, to, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.write("/etc/systemd/system/lab-network.service", labNetwork, 0o644)
	m.write("/etc/systemd/system/lab-job.service", labJob, 0o644)
	m.write("/opt/app", labApp, 0o755)
	m.write("/etc/svcctl/services/all.hcl", labServices, 0o644)
	m.boot()
	m.run("systemctl enable --now lab-network.service")
	m.run("dpkg -i /root/older.deb")
	m.until("svcctl status shop hangs unit 2>/dev/null | grep -c '^[a-z].* up ' | grep -qx 3")
	m.run("systemctl is-active svcctl-keeper svcctl-agent svcctl-services")
	m.run("systemd-analyze verify --man=no svcctl-keeper.service svcctl-agent.service svcctl-services.service")

	before, keeper := m.pids(), m.run("systemctl show -P MainPID svcctl-keeper")
	same := func(after string) {
		t.Helper()
		m.until("svcctl status shop hangs unit 2>/dev/null | grep -c '^[a-z].* up ' | grep -qx 3")
		if now := m.pids(); now != before {
			t.Errorf("processes were replaced by %s:\n%s\n%s", after, before, now)
		}
		if now := m.run("systemctl show -P MainPID svcctl-keeper"); now != keeper {
			t.Errorf("the keeper was replaced by %s", after)
		}
	}
	// One of before that feature stays with its program, and says so.
	knows := m.run("svcctl-keeper -h 2>&1 | grep -c -e -replace || :") != "0\n"
	m.run("dpkg -i /root/newer.deb")
	m.until("svcctl version | grep -q 0.0.2")
	same("an upgrade")
	if knows {
		m.keeperRuns("0.0.2")
	}
	agent := m.run("systemctl show -P MainPID svcctl-agent")
	m.run("systemctl restart svcctl-agent")
	same("a restart of the agent")
	m.run("kill -9 $(systemctl show -P MainPID svcctl-agent)")
	m.until("test \"$(systemctl show -P MainPID svcctl-agent)\" != 0 && svcctl status >/dev/null 2>&1")
	same("a kill of the agent")
	if now := m.run("systemctl show -P MainPID svcctl-agent"); now == agent {
		t.Error("the agent was not replaced at all")
	}

	m.healsUnitsOfTheHost()
	m.losesItsKeeper()
	before, keeper = m.pids(), m.run("systemctl show -P MainPID svcctl-keeper")
	m.run("dpkg -i /root/newer.deb")
	m.keeperRuns("0.0.2")
	same("an installation over itself")

	m.powersOffInOrder()
	m.boot()
	m.until("svcctl status shop hangs unit 2>/dev/null | grep -c '^[a-z].* up ' | grep -qx 3")
	if got := slices.Sorted(slices.Values(m.order())); strings.Join(got, "\n") != "database started\nweb started" {
		t.Errorf("the second boot says %q", got) // which of two shells is first to write is no promise
	}
	m.removesAndLeavesData()
}

func (m *machine) boot() {
	m.Helper()
	if err := m.host.Boot(m.ctx); err != nil {
		m.Fatal(err)
	}
}

// healsUnitsOfTheHost: the manager is PID 1 here, and there is a journal.
func (m *machine) healsUnitsOfTheHost() {
	m.Helper()
	up := "svcctl status unit | grep -q 'systemd.job .* up '"
	pid := m.run("systemctl show -P MainPID lab-job.service")
	m.run("systemctl stop lab-job.service")
	m.until("test \"$(systemctl show -P MainPID lab-job.service)\" != 0 && " + up)
	if now := m.run("systemctl show -P MainPID lab-job.service"); now == pid {
		m.Error("a stopped unit was not started again")
	}
	m.run("kill -9 $(systemctl show -P MainPID lab-job.service)")
	m.until("test \"$(systemctl show -P MainPID lab-job.service)\" != 0 && " + up)
	m.until("svcctl logs unit/systemd.job | grep -q 'the job begins'")
	m.run("mv /etc/systemd/system/lab-job.service /root/; systemctl mask lab-job.service; systemctl kill --signal=KILL lab-job.service")
	m.until("svcctl status unit | grep -q masked")
	m.run("systemctl unmask lab-job.service; mv /root/lab-job.service /etc/systemd/system/; systemctl daemon-reload; svcctl clear unit")
	m.until(up)
}

// powersOffInOrder: dependents first, with address and mount still there, the network
// behind them all; and an app that hears no signal holds nothing up for ever.
func (m *machine) powersOffInOrder() {
	m.Helper()
	m.run(": >/var/log/order")
	if err := m.host.PowerOff(m.ctx); err != nil {
		m.Fatal(err)
	}
	want := []string{"web stops, address 1, mount 1", "database stops, address 1, mount 1", "network stops"}
	if got := m.order(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.Errorf("at poweroff:\n%s\nwanted:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := os.WriteFile(m.host.Path("/var/log/order"), nil, 0o644); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) removesAndLeavesData() {
	m.Helper()
	m.run("echo kept >/srv/data; dpkg -r svcctl")
	m.run("! pgrep -f '^/bin/sh /opt/app' && ! pgrep svcctl && ! grep -q /srv/scratch /proc/mounts && ! ip -o addr show dev eth0 | grep -q 10.77.0.10")
	m.run("grep -q kept /srv/data && test -f /etc/svcctl/services/all.hcl && test -d /var/lib/svcctl && test ! -e /usr/bin/svcctl")
	got := m.order()
	if stops := got[min(2, len(got)):]; strings.Join(stops, "\n") != "web stops, address 1, mount 1\ndatabase stops, address 1, mount 1" {
		m.Errorf("the removal stopped in the order %q", got)
	}
	m.run("dpkg -P svcctl; test ! -e /var/lib/svcctl && test -f /etc/svcctl/services/all.hcl")
}

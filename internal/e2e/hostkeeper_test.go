package e2e

import (
	"regexp"
	"strings"
)

// losesItsKeeper kills the keeper and with it every process; the next one must be
// systemd's again, however fast the agent looks for one.
func (m *machine) losesItsKeeper() {
	m.Helper()
	for range 3 {
		before := strings.TrimSpace(m.run("systemctl show -P MainPID svcctl-keeper"))
		old := regexp.MustCompile(`pid \d+`).FindAllString(m.run("svcctl status shop hangs"), -1)
		m.run("systemctl kill -s KILL --kill-who=main svcctl-keeper")
		m.until(`p=$(systemctl show -P MainPID svcctl-keeper); test "$p" != ` + before + ` -a "$p" != 0 && systemctl -q is-active svcctl-keeper`)
		// Every app has another process, and it stays: what is shown may be of the moment before.
		m.until("svcctl status shop hangs unit > /tmp/now && ! grep -q -w -e '" + strings.Join(old, "' -e '") + "' /tmp/now && grep -c '^[a-z].* up ' /tmp/now | grep -qx 3")
		if groups := m.run(`cat $(grep -lx svcctl-keeper /proc/[0-9]*/comm | sed 's/comm/cgroup/') | grep ^0:`); strings.Count(groups, "\n") != 1 || !strings.Contains(groups, "svcctl-keeper.service") {
			m.Errorf("a keeper runs outside of its unit: %q", groups)
			return
		}
	}
}

// keeperRuns holds the keeper's program against the file that the package brought: it was
// taken up by the process that runs.
func (m *machine) keeperRuns(version string) {
	m.Helper()
	m.run(`test "$(stat -L -c %d:%i /proc/$(systemctl show -P MainPID svcctl-keeper)/exe)" = "$(stat -c %d:%i /usr/bin/svcctl-keeper)" || { journalctl -u svcctl-keeper --no-pager; exit 1; }`)
	m.run("journalctl -u svcctl-keeper --no-pager | grep -q 'build " + version + " goes on'")
}

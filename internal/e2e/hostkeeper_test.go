package e2e

import "strings"

// losesItsKeeper kills the keeper and with it every process; the next one must be
// systemd's again, however fast the agent looks for one.
func (m *machine) losesItsKeeper() {
	m.Helper()
	for range 3 {
		before := strings.TrimSpace(m.run("systemctl show -P MainPID svcctl-keeper"))
		m.run("systemctl kill -s KILL --kill-who=main svcctl-keeper")
		m.until(`p=$(systemctl show -P MainPID svcctl-keeper); test "$p" != ` + before + ` -a "$p" != 0 && systemctl -q is-active svcctl-keeper`)
		m.until("svcctl status shop hangs 2>/dev/null | grep -c '^[a-z].* up ' | grep -qx 2")
		if groups := m.run(`cat $(grep -lx svcctl-keeper /proc/[0-9]*/comm | sed 's/comm/cgroup/') | grep ^0:`); strings.Count(groups, "\n") != 1 || !strings.Contains(groups, "svcctl-keeper.service") {
			m.Errorf("a keeper runs outside of its unit: %q", groups)
			return
		}
	}
}

package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWhatAPluginMeasuresIsInMetricsAndStatusAsLongAsItRuns(t *testing.T) {
	t.Parallel()
	const plugin = `
    check "exec" "load" {
      plugin  = "nagios"
      command = ["/bin/sh", "-c", "echo \"LOAD WARNING - busy | load1=0.50;1;2 time=250ms queries=17c 'disk /'=40%\"; exit 1"]
      every   = "100ms"
      fall    = 100 # a slow machine is no failure
    }
`
	service := func(check string) string {
		return "service \"a\" {\n  app \"main\" {\n    command = [\"/bin/sleep\", \"1000000\"]\n" + check + "  }\n}\n"
	}
	n := newNode(t, map[string]string{"a.hcl": service(plugin)})
	n.start()
	n.isUp("a")
	wanted := []string{
		`svcctl_check_value{check="load",label="load1",namespace="default",resource="app.main",service="a",unit=""} 0.5`,
		`svcctl_check_value{check="load",label="time",namespace="default",resource="app.main",service="a",unit="seconds"} 0.25`,
		`svcctl_check_value{check="load",label="disk /",namespace="default",resource="app.main",service="a",unit="percent"} 40`,
		`svcctl_check_value_total{check="load",label="queries",namespace="default",resource="app.main",service="a",unit=""} 17`,
	}
	var scraped string
	scrape := func() string {
		b, err := n.fetch("/metrics")
		must(t, err)
		scraped = string(b)
		return scraped
	}
	n.await("the values are in the metrics", func() string {
		scrape()
		for _, line := range wanted {
			if !strings.Contains(scraped, line) {
				return "there is no " + line
			}
		}
		return ""
	})
	if _, err := exec.LookPath("promtool"); err == nil {
		c := exec.Command("promtool", "check", "metrics")
		c.Stdin = strings.NewReader(scraped)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool: %v %s", err, out)
		}
	}
	if out := n.wants(0, "status", "--json", "a"); !strings.Contains(out, `"label": "queries"`) {
		t.Errorf("the status: %s", out)
	}
	if out := n.wants(0, "status", "a"); !strings.Contains(out, "load1=0.5 time=0.25s") {
		t.Errorf("the status: %s", out)
	}
	if out := n.wants(0, "status", "a"); !strings.Contains(out, "check load (exec) up: ") || !strings.Contains(out, "LOAD WARNING - busy") {
		t.Errorf("a warning that passes is not shown:\n%s", out)
	}
	before := n.pids()
	n.write("a.hcl", service(""))
	n.await("they are gone with the check", func() string {
		if strings.Contains(scrape(), "svcctl_check_value") {
			return "they are there"
		}
		return ""
	})
	n.same(before, "a/app.main")
}

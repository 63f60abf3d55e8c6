package container

import (
	"fmt"
	"os"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/internal/testengine"
)

func TestAContainerKeepsTheDriversPromises(t *testing.T) {
	for _, kind := range []string{"docker", "podman"} {
		t.Run(kind, func(t *testing.T) {
			e := engineOf(t, kind)
			c := plain(e)
			c.Ports = []string{"127.0.0.1:8080:80"}
			c.Memory = 64 << 20
			c.Credentials = map[string]string{"key": "a value"}
			h := drivertest.Harness{
				Open:        func(t *testing.T) drivers.Driver { return open(t, c) },
				Fingerprint: func(t *testing.T) string { return fingerprint(t, e) },
				Break: func(t *testing.T) {
					is, err := e.Inspect(c.Name)
					must(t, err)
					kill(t, is.State.Pid)
				},
			}
			if kind == "docker" { // Podman 4.3 can't change limits, as TestPodmanSays… holds
				live := *c
				live.Memory, live.CPU, live.PIDs = 96<<20, 0.5, 100
				h.Live = &live
			}
			drivertest.Run(t, h)
		})
	}
}

// fingerprint is every container with its state, process and the mounts of its credentials.
func fingerprint(t *testing.T, e *testengine.Engine) string {
	t.Helper()
	all, err := e.Containers()
	must(t, err)
	out := fmt.Sprint(all)
	for _, c := range all {
		is, err := e.Inspect(c[:64])
		must(t, err)
		out += fmt.Sprint(is.State.Pid)
	}
	entries, _ := os.ReadDir(runDir(t) + "/container") // none where nothing runs
	return fmt.Sprint(out, len(entries))
}

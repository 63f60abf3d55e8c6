package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAHostBootsKeepsItsDiskAndLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make namespaces")
	}
	image, err := Debian()
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHost("labtest", image, filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.group); !os.IsNotExist(err) {
			t.Errorf("its control group is left: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for boot := range 2 {
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		out, err := h.Run(ctx, "sh", "-c", "hostname; cat /proc/1/comm; cat /kept 2>/dev/null || echo nothing kept; date > /kept; ls /sys/class/net; ps -e | wc -l")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"labtest", "systemd", "lo\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in:\n%s", want, out)
			}
		}
		if strings.Contains(out, "nothing kept") != (boot == 0) {
			t.Errorf("boot %d sees of the disk:\n%s", boot, out)
		}
		if boot == 0 {
			err = h.PowerOff(ctx)
		} else {
			err = h.PowerLoss()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
)

// A stand-in server: its helpers mount a tmpfs by the export's name, and the table that
// the driver reads shows it as the kernel would show the server's file system. So the
// driver's decisions and the real unmounts are tried on kernels without the clients.
type standIn struct {
	dir  string // of the helpers, first in PATH, and of what they noted
	port string // that takes connections until the server is gone
	gone func()
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	needRoot(t)
	s := &standIn{dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.gone = func() { l.Close() }
	t.Cleanup(s.gone)
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	mount := `#!/bin/sh
printf '%s ' "$0" "$@" >>"${0%/*}/arguments"
if [ -n "$PASSWD_FD" ]; then cat <&3 >"${0%/*}/password"; fi
case "$1" in
*/denied) echo "mount.nfs: access denied by server while mounting $1" >&2; exit 32;;
*/hangs) exec sleep 1000;;
esac
exec mount -t tmpfs "$1" "$2"
`
	for _, helper := range []string{"mount.nfs", "mount.cifs"} {
		s.tool(t, helper, mount)
	}
	t.Setenv("PATH", s.dir+":"+os.Getenv("PATH"))
	return s
}

func (s *standIn) tool(t *testing.T, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (s *standIn) noted(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// shown is the mount table as it would be with a client of the type.
type shown struct{ kind, device string }

func (s shown) ReadAt(p []byte, at int64) (int, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, err
	}
	text = bytes.ReplaceAll(text, []byte(" - tmpfs "+s.device+" rw"), []byte(" - "+s.kind+" "+s.device+" rw,vers=4.2,hard,proto=tcp"))
	if at >= int64(len(text)) {
		return 0, io.EOF
	}
	n := copy(p, text[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *standIn) open(t *testing.T, c *Config, kind string) *driver {
	t.Helper()
	if c.Unmount == "" {
		c.Unmount = "force"
	}
	c.Fsck = "auto"
	c.Options = append(c.Options, "port="+s.port)
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	d := &driver{host: newHost(), config: c, reveal: func(text string) (string, error) {
		return strings.ReplaceAll(text, "MARK", "s3cret, with comma"), nil
	}}
	d.host.table.file, d.host.table.buf = shown{kind, c.Device}, make([]byte, 16<<10)
	return d
}

func TestMountsOfServersKeepTheDriversPromises(t *testing.T) {
	s := newStandIn(t)
	for _, of := range []struct {
		kind string
		c    Config
	}{
		{"nfs4", Config{Type: "nfs", Device: "127.0.0.1:/srv/data"}},
		{"nfs4", Config{Type: "nfs4", Device: "127.0.0.1:/"}},
		{"cifs", Config{Type: "cifs", Device: "//127.0.0.1/data", Username: "backup", Password: "MARK"}},
	} {
		of.c.Path = at(t)
		drivertest.Run(t, drivertest.Harness{
			Open:        func(t *testing.T) drivers.Driver { c := of.c; return s.open(t, &c, of.kind) },
			Fingerprint: func(t *testing.T) string { return mountsWith(t, filepath.Dir(filepath.Dir(of.c.Path))+"/") },
			Break:       func(t *testing.T) { run(t, "umount", of.c.Path) },
			Occupy:      func(t *testing.T) { occupy(t, of.c.Path) },
		})
	}
	if said := s.noted(t, "password"); said != "s3cret, with comma" {
		t.Errorf("the helper read %q", said)
	}
	said := s.noted(t, "arguments")
	if strings.Contains(said, "s3cret") || strings.Contains(said, "MARK") {
		t.Error("the password is among the arguments")
	}
	for _, part := range []string{"127.0.0.1:/srv/data", "-o rw,port=" + s.port + ",retry=0", ",vers=4,retry=0", "username=backup"} {
		if !strings.Contains(said, part) {
			t.Errorf("no %q in %s", part, said)
		}
	}
}

func TestAServerThatHangsHoldsNoCallBeyondItsTime(t *testing.T) {
	s := newStandIn(t)
	c := &Config{Type: "nfs", Device: "127.0.0.1:/hangs", Path: at(t)}
	d := s.open(t, c, "nfs4")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	expectError(t, d.Start(ctx), "cannot mount "+c.Path)
	expect(t, d, drivers.Down, "")
}

func TestAServerThatIsGoneIsUnmountedAsFarAsDeclared(t *testing.T) {
	s := newStandIn(t)
	before := patience
	patience = time.Second
	defer func() { patience = before }()
	// As umount is while the server does not answer: it never ends, and by force finds
	// the mount still in use.
	real := run(t, "sh", "-c", "command -v umount")
	s.tool(t, "umount", fmt.Sprintf(`#!/bin/sh
echo "$*" >>"${0%%/*}/unmounts"
case "$*" in
*--lazy*) exec %s "$@";;
*--force*) if [ -e "${0%%/*}/held" ]; then echo "umount: target is busy." >&2; exit 32; fi; exec %s "$@";;
esac
exec sleep 1000
`, real, real))
	c := &Config{Type: "nfs", Device: "127.0.0.1:/srv/data", Path: at(t)}
	d := s.open(t, c, "nfs4")
	start(t, d)
	s.gone()
	expect(t, d, drivers.Up, "127.0.0.1:/srv/data (nfs4)") // the table says so, and the server is not asked
	c.Unmount = "wait"
	expectError(t, d.Stop(within(t)), "the server 127.0.0.1 does not answer at port "+s.port, "umount did not end within", `unmount = "force"`)
	s.tool(t, "held", "")
	c.Unmount = "force"
	expectError(t, d.Stop(within(t)), "does not answer", "nor by force", `unmount = "lazy"`)
	c.Unmount = "lazy"
	stop(t, d)
	expect(t, d, drivers.Down, "")
	if said := s.noted(t, "unmounts"); strings.Count(said, "--force") != 2 || strings.Count(said, "--lazy") != 1 {
		t.Error(said)
	}
	if err := os.Remove(filepath.Join(s.dir, "held")); err != nil {
		t.Fatal(err)
	}
	c.Unmount = "force"
	start(t, d)
	stop(t, d)
	expect(t, d, drivers.Down, "")
}

func TestABusyMountOfAServerThatAnswersIsNotForced(t *testing.T) {
	s := newStandIn(t)
	c := &Config{Type: "nfs", Device: "127.0.0.1:/srv/data", Path: at(t), Unmount: "lazy"}
	d := s.open(t, c, "nfs4")
	start(t, d)
	held := occupy(t, c.Path)
	expectError(t, d.Stop(within(t)), "it is busy", fmt.Sprintf("process %d", held.Process.Pid))
	expect(t, d, drivers.Up, "")
}

func TestAnotherServersMountIsAFailureAndStays(t *testing.T) {
	s := newStandIn(t)
	path := at(t)
	other := s.open(t, &Config{Type: "nfs", Device: "127.0.0.1:/other", Path: path}, "nfs4")
	start(t, other)
	c := &Config{Type: "nfs", Device: "127.0.0.1:/srv/data", Path: path}
	d := s.open(t, c, "nfs4")
	d.host.table.file = shown{"nfs4", "127.0.0.1:/other"}
	expect(t, d, drivers.Failed, "127.0.0.1:/other (nfs4) is mounted there instead of 127.0.0.1:/srv/data")
	expectError(t, d.Start(within(t)), "unmount that first")
	stop(t, d)
	expect(t, other, drivers.Up, "")
}

// The words are those that the tools of Debian said when they were tried, or what their
// sources and manuals say.
func TestWhatAHelperSaysIsAnsweredWithWhatToDo(t *testing.T) {
	for words, of := range map[string]struct{ kind, advice string }{
		"mount.nfs: access denied by server while mounting 127.0.0.1:/x":                                          {"nfs", "exportfs -v"},
		"mount.nfs: Connection refused":                                                                           {"nfs", "its port 2049 open"},
		"mount.nfs: Connection timed out for 10.0.0.1:/x on /m":                                                   {"nfs4", "its port 2049 open"},
		"mount.nfs: No route to host for 10.0.0.1:/x on /m":                                                       {"nfs4", "is the server up"},
		"mount.nfs: No such device":                                                                               {"nfs4", "modprobe nfs\""},
		"mount.nfs: Failed to resolve server nosuchhost.invalid: Name or service not known":                       {"nfs", "getent hosts"},
		"mount.nfs: mounting 10.0.0.1:/x failed, reason given by server: No such file or directory":               {"nfs", "nothing of that name"},
		"mount.nfs: requested NFS version or transport protocol is not supported for /m":                          {"nfs", "vers="},
		"mount.nfs: rpc.statd is not running but is required for remote locking.":                                 {"nfs", "nolock"},
		"mount error(13): Permission denied; Refer to the mount.cifs(8) manual page":                              {"cifs", "username and password"},
		"mount error: cifs filesystem not supported by the system; mount error(19): No such device":               {"cifs", "modprobe cifs"},
		"mount error: could not resolve address for nosuchhost.invalid: Unknown error":                            {"cifs", "getent hosts"},
		"mount error(112): Host is down":                                                                          {"cifs", "its port 445 open"},
		"mount error(111): could not connect to 10.0.0.1Unable to find suitable address.":                         {"cifs", "its port 445 open"},
		"mount error(2): No such file or directory; Refer to the mount.cifs(8) manual page (e.g. man mount.cifs)": {"cifs", "nothing of that name"},
		"mount error(5): Input/output error":                                                                      {"cifs", "kernel's log"},
	} {
		if got := (&Config{Type: of.kind}).advice(words); !strings.Contains(got, of.advice) {
			t.Errorf("%s: %q, want %q", words, got, of.advice)
		}
	}
}

func TestARefusalAndAMissingHelperAreNamed(t *testing.T) {
	s := newStandIn(t)
	d := s.open(t, &Config{Type: "nfs", Device: "127.0.0.1:/denied", Path: at(t)}, "nfs4")
	expectError(t, d.Start(within(t)), "access denied by server", "exportfs -v")
	before := packages["mount.none"]
	defer func() { packages["mount.none"] = before }()
	packages["mount.none"] = "none-common"
	_, err := (&call{}).run(within(t), "mount.none")
	expectError(t, err, "mount.none is not installed (Debian package none-common)")
	if packages["mount.nfs"] != "nfs-common" || packages["mount.cifs"] != "cifs-utils" {
		t.Error("the packages of the helpers are not known")
	}
}

func TestMistakesAboutServersAreFoundAtLoad(t *testing.T) {
	for name, of := range map[string]struct {
		field string
		c     Config
	}{
		"a device path":              {"device", Config{Type: "nfs", Device: "/dev/sdb1"}},
		"an IPv6 without brackets":   {"device", Config{Type: "nfs4", Device: "fd00::1:/x"}},
		"a share with a colon":       {"device", Config{Type: "cifs", Device: "server:/x", Username: "a"}},
		"nothing":                    {"device", Config{Type: "nfs"}},
		"a password for NFS":         {"password", Config{Type: "nfs", Device: "s:/x", Password: "p"}},
		"a password in the options":  {"options", Config{Type: "cifs", Device: "//s/x", Username: "a", Options: []string{"password=p"}}},
		"nobody's name":              {"username", Config{Type: "cifs", Device: "//s/x"}},
		"options in the user's name": {"username", Config{Type: "cifs", Device: "//s/x", Username: "a,uid=0"}},
		"mkfs":                       {"mkfs", Config{Type: "nfs", Device: "s:/x", Mkfs: true}},
	} {
		of.c.Path = "/srv/x"
		if found := of.c.Validate(); len(found) != 1 || found[0].Field != of.field {
			t.Errorf("%s: %+v", name, found)
		}
	}
	for _, c := range []Config{
		{Type: "nfs", Device: "[fd00::1]:/x"}, {Type: "nfs4", Device: "nas.example.org:/"},
		{Type: "cifs", Device: "//nas/x/y", Options: []string{"sec=krb5"}}, {Type: "cifs", Device: "//nas/x", Options: []string{"guest"}},
	} {
		c.Path = "/srv/x"
		if found := c.Validate(); len(found) != 0 {
			t.Errorf("%+v: %+v", c, found)
		}
	}
}

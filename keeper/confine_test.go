package keeper

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newConfinedWorld has a keeper whose mounts are not those of this machine.
func newConfinedWorld(t testing.TB, keeper ...string) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes mount namespaces")
	}
	return newWorld(t, func(o *Options) {
		if len(keeper) == 0 {
			keeper = o.Binary
		}
		o.Binary = append([]string{"unshare", "--mount"}, keeper...)
	})
}

// lines runs a shell script as a process of the keeper and returns its output.
func (w *world) lines(r Request, script string) []string {
	w.t.Helper()
	r.ID, r.Path, r.Args = "a", "/bin/sh", []string{"sh", "-c", script}
	r.Env = append(r.Env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	ended := make(chan Process, 16)
	defer w.Subscribe("a", func(p Process) {
		if p.Phase == Exited {
			ended <- p
		}
	})()
	if _, err := w.Start(w.ctx(), r); err != nil {
		w.t.Fatal(err)
	}
	select {
	case p := <-ended:
		return p.Last
	case <-time.After(20 * time.Second):
		w.t.Fatal("the script never ended")
		return nil
	}
}

func TestPlacesLookTheSameOnOldAndNewKernels(t *testing.T) {
	w := newConfinedWorld(t)
	dir := t.TempDir()
	for _, sub := range []string{"ro/rw/mount", "ro/rw/fixed", "ro/mount/deep", "ro/none", "ro/tmp/sub", "ro/rw/again"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ro", "secret"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ro/none", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	in := func(command ...string) {
		t.Helper()
		pid := fmt.Sprint(keeperPID(w.opts.RunDir))
		if out, err := exec.Command("nsenter", append([]string{"--target", pid, "--mount", "--"}, command...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	in("mount", "-t", "tmpfs", "-o", "nosuid", "tmpfs", dir+"/ro/rw/mount")
	in("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", dir+"/ro/rw/fixed")
	in("mount", "-t", "tmpfs", "tmpfs", dir+"/ro/mount")
	places := []Place{
		{Path: "/", As: ReadOnly}, {Path: "/proc", As: AsItIs}, {Path: "/dev", As: FewDevices}, {Path: "/sys", As: AsItIs, Optional: true},
		{Path: dir + "/ro/rw", As: AsItIs}, {Path: dir + "/ro/rw/again", As: ReadOnly}, {Path: dir + "/link", As: Hidden},
		{Path: dir + "/ro/secret", As: Hidden}, {Path: dir + "/ro/tmp", As: Scratch}, {Path: dir + "/ro/tmp/sub", As: AsItIs},
		{Path: dir + "/no-such", As: Hidden, Optional: true},
	}
	script := `cd ` + dir + `/ro
		for d in . rw rw/mount rw/fixed rw/again mount none tmp tmp/sub; do
			(: > $d/new) 2>/dev/null && echo "$d written" || echo "$d not"
		done
		wc -c < secret; ls -ld none | cut -c1-10; ls tmp
		grep " $PWD/rw/mount " /proc/self/mountinfo | tail -1 | cut -d" " -f6`
	want := []string{
		". not", "rw written", "rw/mount written", "rw/fixed not", "rw/again not", "mount not", "none not", "tmp written", "tmp/sub written",
		"0", "d---------", "new", "sub", "rw,nosuid,relatime",
	}
	for _, kernel := range []string{"NEW_KERNEL=1", "OLD_KERNEL=1"} {
		got := w.lines(Request{Env: []string{kernel}, Confine: &Confinement{Places: places}}, script)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, not %q", kernel, got, want)
		}
	}
}

func TestCredentialsAreSeenByTheirOwnProcessesOnlyAndEndWithThem(t *testing.T) {
	w := newConfinedWorld(t)
	r := Request{Files: map[string][]byte{"password": []byte("hunter2\x00\xff"), "key": []byte("k")}, Credential: &Credential{UID: 65534, GID: 65534}}
	got := w.lines(r, `echo $CREDENTIALS_DIRECTORY; id -u`)
	if got[0] != filepath.Join(w.opts.RunDir, "credentials") || got[len(got)-1] != "65534" {
		t.Errorf("it says %q", got)
	}
	r.Credential = nil
	got = w.lines(r, `cd $CREDENTIALS_DIRECTORY; od -An -c password | tr -d " "; stat -c "%a %u %n" . *; (: > new) && echo written; (: > key) && echo written; grep " $PWD " /proc/self/mountinfo | cut -d" " -f6-`)
	text := strings.Join(got, "\n")
	for _, want := range []string{"hunter2\\0377", "500 0 .", "400 0 key", "400 0 password", "ro,nosuid,nodev,noexec", "ramfs"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if strings.Contains(text, "written") {
		t.Error("a credential can be written")
	}
	p, err := w.Start(w.ctx(), Request{ID: "b", Path: "/bin/sleep", Args: []string{"sleep", "1000"}, Files: r.Files})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s/credentials/key", p.PID, w.opts.RunDir)); err != nil || string(b) != "k" {
		t.Errorf("seen inside: %q, %v", b, err)
	}
	other, err := w.Start(w.ctx(), Request{ID: "c", Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{other.PID, keeperPID(w.opts.RunDir)} {
		left, err := os.ReadDir(fmt.Sprintf("/proc/%d/root%s/credentials", pid, w.opts.RunDir))
		if err != nil || len(left) > 0 {
			t.Errorf("seen by process %d: %v, %v", pid, left, err)
		}
	}
	for name, text := range map[string]string{"..": "x", "a/b": "x", "": "x", "large": strings.Repeat("x", maxFiles)} {
		_, err := w.Start(w.ctx(), Request{ID: "d", Path: "/bin/true", Args: []string{"true"}, Files: map[string][]byte{name: []byte(text)}})
		if err == nil || strings.Contains(err.Error(), "xx") {
			t.Errorf("credential %q: %v", name, err)
		}
	}
}

func TestASandboxedRootCantGiveOrdersToTheKeeperOrTheAgent(t *testing.T) {
	w := newConfinedWorld(t)
	agent := filepath.Join(w.opts.RunDir, "agent.sock")
	if err := os.WriteFile(agent, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(w.opts.RunDir)), 0o755); err != nil { // the test's own folder
		t.Fatal(err)
	}
	strict := []Place{{Path: "/", As: ReadOnly}, {Path: "/proc", As: AsItIs}}
	script := `cd ` + w.opts.RunDir + `; ls; (: > new) 2>/dev/null && echo written; cat credentials/key 2>/dev/null; test -S "$NOTIFY_SOCKET" && echo notify`
	all := "agent.sock credentials keeper.lock keeper.log keeper.sock nothing"
	hidden := &Confinement{Places: strict, DropOthers: true, NoNewPrivileges: true}
	for _, one := range []struct {
		name string
		r    Request
		want string
	}{
		{"root", Request{Confine: hidden}, ""},
		{"root by its number", Request{Confine: hidden, Credential: &Credential{}}, ""},
		{"with credentials", Request{Confine: hidden, Files: map[string][]byte{"key": []byte("k")}}, "credentials k"},
		{"a user who may become root", Request{Confine: &Confinement{Places: strict}, Credential: &Credential{UID: 65534, GID: 65534}}, ""},
		{"a user", Request{Confine: hidden, Credential: &Credential{UID: 65534, GID: 65534}}, all},
		{"declared", Request{Confine: &Confinement{Places: append(strict[:2:2], Place{Path: w.opts.RunDir, As: ReadOnly}), NoNewPrivileges: true}}, all},
		{"hidden already", Request{Confine: &Confinement{Places: append(strict[:2:2], Place{Path: filepath.Dir(w.opts.RunDir), As: Hidden}), NoNewPrivileges: true}}, "none"},
	} {
		one.r.Env = []string{"NEW_KERNEL=1"}
		run := script
		if one.want == "none" {
			run = "ls " + w.opts.RunDir + " 2>/dev/null || echo none"
		}
		if got := strings.Join(w.lines(one.r, run), " "); got != one.want {
			t.Errorf("%s sees %q, not %q", one.name, got, one.want)
		}
	}
	if err := os.Mkdir(filepath.Join(w.opts.RunDir, loopLinks), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/loop9", filepath.Join(w.opts.RunDir, loopLinks, "disk")); err != nil {
		t.Fatal(err)
	}
	for _, kernel := range []string{"NEW_KERNEL=1", "OLD_KERNEL=1"} {
		r := Request{Env: []string{kernel}, Confine: hidden}
		if got := w.lines(r, "cd "+w.opts.RunDir+"; ls; readlink loop/disk; (: > loop/new) 2>/dev/null && echo written"); fmt.Sprint(got) != "[loop /dev/loop9]" {
			t.Errorf("with links to loop devices: %q", got)
		}
	}
	if err := os.RemoveAll(filepath.Join(w.opts.RunDir, loopLinks)); err != nil {
		t.Fatal(err)
	}
	r := Request{Confine: &Confinement{Places: strict, OwnNetwork: true, NoNewPrivileges: true}, Notify: true}
	if got := w.lines(r, `ls $(dirname $NOTIFY_SOCKET) | cut -d- -f1; test -S "$NOTIFY_SOCKET" && echo there`); fmt.Sprint(got) != "[notify there]" {
		t.Errorf("one that says itself when it is ready sees %q", got)
	}
}

func TestNothingOfARequestsSecretsStaysWithTheKeeper(t *testing.T) {
	w := newConfinedWorld(t)
	secret := "s3cr3t-of-this-test"
	r := Request{
		ID: "a", Path: "/bin/sleep", Args: []string{"sleep", "1000"}, Env: []string{"PASSWORD=" + secret}, Notify: true,
		Files: map[string][]byte{"password": []byte(secret)}, Log: Log{Path: "a.log"},
	}
	p, err := w.Start(w.ctx(), r)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.List(w.ctx())
	if err != nil || strings.Contains(fmt.Sprintf("%+v", all), secret) {
		t.Errorf("listed: %+v, %v", all, err)
	}
	r.ID, r.Path = "b", "/no/such/program"
	if _, err := w.Start(w.ctx(), r); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a failing start says %v", err)
	}
	err = filepath.Walk(filepath.Dir(w.opts.RunDir), func(path string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() {
			if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), secret) {
				t.Errorf("the secret is in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, pid := range []int{p.PID, keeperPID(w.opts.RunDir)} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || strings.Contains(string(b), secret) {
			t.Errorf("the arguments of process %d: %q, %v", pid, b, err)
		}
	}
	if err := w.Stop(w.ctx(), "a", unix.SIGTERM, time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestAnOlderKeeperIsNotTrustedToConfine(t *testing.T) {
	w := newWorld(t, nil)
	w.Client.mu.Lock()
	w.Client.conn.features = nil // as the hello of one before tells
	w.Client.mu.Unlock()
	r := Request{ID: "a", Path: "/bin/sleep", Args: []string{"sleep", "1000"}}
	for _, change := range []func(*Request){
		func(r *Request) { r.Confine = &Confinement{} }, func(r *Request) { r.Files = map[string][]byte{"a": nil} },
	} {
		confined := r
		change(&confined)
		if _, err := w.Start(w.ctx(), confined); err == nil || !strings.Contains(err.Error(), "older than this svcctl and knows no ") {
			t.Errorf("start: %v", err)
		}
	}
	if _, err := w.Start(w.ctx(), r); err != nil {
		t.Error(err)
	}
}

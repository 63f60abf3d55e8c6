package agent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// vault is a folder for secrets and what an agent keeps of them.
type vault struct {
	t   *testing.T
	dir string
}

func newVault(t *testing.T) *vault {
	v := &vault{t, t.TempDir()}
	for _, d := range []string{"secrets", "state", "run"} {
		if err := os.Mkdir(filepath.Join(v.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *vault) put(name, value string) {
	v.t.Helper()
	path := filepath.Join(v.dir, "secrets", name)
	if err := os.WriteFile(path+".tmp", []byte(value), 0o600); err != nil {
		v.t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) open() *secrets {
	c := DefaultConfig()
	c.Secrets.Dir = filepath.Join(v.dir, "secrets")
	c.State.Dir, c.State.Run = filepath.Join(v.dir, "state"), filepath.Join(v.dir, "run")
	return newSecrets(c, hclog.NewNullLogger(), NewScrubber())
}

func TestASecretIsReadWithoutTheNewlineOfTheEditor(t *testing.T) {
	v := newVault(t)
	v.put("db", "hunter22\n")
	if got, err := v.open().value("db"); got != "hunter22" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	v.put("db", "two\nlines\n\n")
	if got, err := v.open().value("db"); got != "two\nlines\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestEachFaultOfASecretsFileIsOneErrorThatSaysWhatToDo(t *testing.T) {
	path := func(v *vault) string { return filepath.Join(v.dir, "secrets", "db") }
	for _, one := range []struct {
		name, want string
		spoil      func(*vault) error
		root       bool
	}{
		{"missing", "it is missing", func(v *vault) error { return os.Remove(path(v)) }, false},
		{"readable", "chmod 0600 ", func(v *vault) error { return os.Chmod(path(v), 0o640) }, false},
		{"empty", "is empty", func(v *vault) error { return os.WriteFile(path(v), []byte("\n"), 0o600) }, false},
		{"NUL", "NUL", func(v *vault) error { return os.WriteFile(path(v), []byte("hunter22\x00"), 0o600) }, false},
		{"large", "larger than 65536 bytes", func(v *vault) error { return os.Truncate(path(v), maxSecret+1) }, false},
		{"folder", "chmod go-w ", func(v *vault) error { return os.Chmod(filepath.Dir(path(v)), 0o770) }, false},
		{"link", "symbolic link", func(v *vault) error {
			return firstOf(os.Rename(path(v), path(v)+"2"), os.Symlink(path(v)+"2", path(v)))
		}, false},
		{"pipe", "not a regular file", func(v *vault) error {
			return firstOf(os.Remove(path(v)), syscall.Mkfifo(path(v), 0o600))
		}, false},
		{"directory", "not a regular file", func(v *vault) error {
			return firstOf(os.Remove(path(v)), os.Mkdir(path(v), 0o700))
		}, false},
		{"owner", "chown root ", func(v *vault) error { return os.Chown(path(v), 4711, 0) }, true},
		{"folder's owner", "chown root ", func(v *vault) error { return os.Chown(filepath.Dir(path(v)), 4711, 0) }, true},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.root && os.Geteuid() != 0 {
				t.Skip("needs root to give files to another user")
			}
			v := newVault(t)
			v.put("db", "hunter22")
			if err := one.spoil(v); err != nil {
				t.Fatal(err)
			}
			got, err := v.open().value("db")
			if err == nil || !strings.Contains(err.Error(), one.want) || !strings.HasPrefix(err.Error(), `cannot use the secret "db"`) {
				t.Errorf("error: %v", err)
			}
			if got != "" || err != nil && strings.Contains(err.Error(), "hunter22") {
				t.Errorf("the value got out: %q %v", got, err)
			}
		})
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestANameThatLeadsOutOfTheFolderIsNoSecret(t *testing.T) {
	v := newVault(t)
	for _, name := range []string{"", ".", "..", "../state/key", "a/b", ".hidden"} {
		if _, err := v.open().value(name); err == nil || !strings.Contains(err.Error(), "can't be the name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestACredentialOfSystemdComesFirst(t *testing.T) {
	v := newVault(t)
	v.put("db", "from-the-folder")
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := v.open().value("db"); got != "from-the-folder" || err != nil {
		t.Errorf("without a credential: %q %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db"), []byte("from-systemd"), 0o400); err != nil {
		t.Fatal(err)
	}
	if got, err := v.open().value("db"); got != "from-systemd" || err != nil {
		t.Errorf("with one: %q %v", got, err)
	}
}

func TestAFingerprintOutlivesTheAgentAndTheFile(t *testing.T) {
	v := newVault(t)
	v.put("db", "hunter22")
	s := v.open()
	first := s.Fingerprint("db")
	if len(first) < 16 || strings.Contains(first, "hunter22") {
		t.Errorf("fingerprint %q", first)
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(s.path()); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", fi.Mode(), err)
	}
	if err := os.Remove(filepath.Join(v.dir, "secrets", "db")); err != nil {
		t.Fatal(err)
	}
	s = v.open()
	if got := s.Fingerprint("db"); got != first {
		t.Errorf("with the file gone another agent says %q, not %q", got, first)
	}
	if names := s.renew(); len(names) != 0 {
		t.Errorf("a missing secret counts as changed: %v", names)
	}
	v.put("db", "hunter22\n")
	if names := s.renew(); len(names) != 0 {
		t.Errorf("the same value counts as another: %v", names)
	}
	v.put("db", "hunter23")
	if got := s.Fingerprint("db"); got != first {
		t.Errorf("half of a set could go by the old value and half by the new one")
	}
	if names := s.renew(); len(names) != 1 || s.Fingerprint("db") == first {
		t.Errorf("another value is not seen: %v", names)
	}
}

func TestFingerprintsTellNothingToOthers(t *testing.T) {
	a, b := newVault(t), newVault(t)
	for _, v := range []*vault{a, b} {
		v.put("x", "hunter22")
		v.put("y", "hunter22")
	}
	s := a.open()
	if s.Fingerprint("x") == s.Fingerprint("y") {
		t.Error("two secrets with one value look alike")
	}
	if s.Fingerprint("x") == b.open().Fingerprint("x") {
		t.Error("two nodes have the same key")
	}
}

func TestAKeyThatTheStateDirectoryDoesNotTakeWaitsInTheRunDirectory(t *testing.T) {
	v := newVault(t)
	v.put("db", "hunter22")
	state := filepath.Join(v.dir, "state")
	if err := firstOf(os.Remove(state), os.WriteFile(state, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := v.open()
	first := s.Fingerprint("db")
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s = v.open()
	if got := s.Fingerprint("db"); got != first {
		t.Errorf("the next agent says %q, not %q", got, first)
	}
	if err := firstOf(os.Remove(state), os.Mkdir(state, 0o700), s.save()); err != nil {
		t.Fatal(err)
	}
	if got := v.open().Fingerprint("db"); got != first {
		t.Errorf("once the state directory is back: %q, not %q", got, first)
	}
	if _, err := os.Stat(s.aside()); !os.IsNotExist(err) {
		t.Errorf("the copy aside stays: %v", err)
	}
}

func TestADamagedKeyIsPutAside(t *testing.T) {
	v := newVault(t)
	v.put("db", "hunter22")
	s := v.open()
	if err := os.WriteFile(s.path(), []byte(`{"version":1,"key":"AAAA"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Fingerprint("db") == "" {
		t.Error("no fingerprint without a key")
	}
	if _, err := os.Stat(s.path() + ".damaged"); err != nil {
		t.Error(err)
	}
}

func TestWhatRunsIsGivenTheLastValueAndAStartIsNot(t *testing.T) {
	v := newVault(t)
	v.put("db", "hunter22")
	s := v.open()
	text := "password=\uE0C0db:" + s.Fingerprint("db") + "\uE0C1;"
	if got, err := s.reveal(text); got != "password=hunter22;" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Chmod(filepath.Join(v.dir, "secrets", "db"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := s.reveal(text); err == nil || got != "" {
		t.Errorf("a start is given %q", got)
	}
	if got, err := s.revealKnown(text); got != "password=hunter22;" || err != nil {
		t.Errorf("what runs is given %q %v", got, err)
	}
}

func TestAValueThatOnlyACheckHasReadIsKnownToItsNextRun(t *testing.T) {
	v := newVault(t)
	s := v.open()
	const text = "\uE0C0db:\uE0C1"
	v.put("db", "hunter22")
	if got, err := s.revealKnown(text); got != "hunter22" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Remove(filepath.Join(v.dir, "secrets", "db")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.revealKnown(text); got != "hunter22" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestTheScrubberKnowsTheFormsInWhichProgramsPrintAValue(t *testing.T) {
	s := NewScrubber()
	const value = `p"ä s/<w>+ör\d`
	s.Learn("db", value)
	asJSON, err := json.Marshal(map[string]string{"password": value})
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{
		"plain":          "login with " + value + " failed",
		"Go":             fmt.Sprintf("login with %q failed", value),
		"JSON":           string(asJSON),
		"query":          "http://x/?p=" + url.QueryEscape(value),
		"path":           "http://x/" + url.PathEscape(value),
		"base64":         base64.StdEncoding.EncodeToString([]byte(value)),
		"user:password":  "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+value)),
		"user2:password": "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+value+"\n")),
		"user3:password": "Basic " + base64.URLEncoding.EncodeToString([]byte("eve12:"+value)),
	} {
		got := s.Scrub(text)
		if !strings.Contains(got, `${secret("db")}`) || strings.Contains(got, value) {
			t.Errorf("%s: %s became %s", form, text, got)
		}
	}
	if got := s.Scrub("nothing to hide"); got != "nothing to hide" {
		t.Error(got)
	}
}

func TestTheScrubberHidesEachLineOfAKeyAndTheLongerOfTwoValues(t *testing.T) {
	s := NewScrubber()
	s.Learn("key", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----")
	if got := s.Scrub("out: MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"); got != `out: ${secret("key")}` {
		t.Error(got)
	}
	if got := s.Scrub("-----BEGIN KEY-----"); got != "-----BEGIN KEY-----" {
		t.Error(got)
	}
	s.Learn("short", "hunter2")
	s.Learn("long", "hunter22-and-more")
	if got := s.Scrub("x hunter22-and-more"); got != `x ${secret("long")}` {
		t.Error(got)
	}
	s.Learn("tiny", "abc")
	if got := s.Scrub("abc"); got != "abc" {
		t.Error(got)
	}
}

func TestWhatACutLeavesOfAValueIsNotShown(t *testing.T) {
	s := NewScrubber()
	s.Learn("db", "correct-horse-battery")
	s.Learn("odd", `so "quoted"`)
	for text, want := range map[string]string{
		"last output: …se-battery was refused": "last output: … was refused",
		"login with correct-hor…":              "login with …",
		"login with correct-hor… and more":     "login with … and more",
		"nothing… to hide":                     "nothing… to hide",
		`starts with "{auth: correct-hor…"`:    `starts with "{auth: …"`,
		`it says: …\"quoted\" was refused`:     `it says: … was refused`,
	} {
		if got := s.Scrub(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestAValueIsKnownAgainInTextThatWasMadeFitToBeShown(t *testing.T) {
	s := NewScrubber()
	s.Learn("odd", "one\ttwo  three\xffﬁve")
	for _, text := range []string{"onetwo  threeﬁve", "one two threeﬁve", "one\ttwo  three\uFFFDﬁve", "one\ttwo  three?ﬁve", "one\ttwo  threeﬁve"} {
		if got := s.Scrub("no <" + text + ">"); got != `no <${secret("odd")}>` {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestASecretThatIsRenewedWithoutEndFillsNoMemory(t *testing.T) {
	s := NewScrubber()
	s.Learn("other", "correct-horse-battery")
	for i := range 10 * maxFormer {
		s.Learn("token", fmt.Sprintf("token-number-%04d", i))
	}
	if n := len(s.known); n != maxFormer+1 {
		t.Errorf("%d values are known", n)
	}
	for _, text := range []string{"token-number-0159", "token-number-0144", "correct-horse-battery"} {
		if got := s.Scrub(text); !strings.HasPrefix(got, "${secret(") {
			t.Error(got)
		}
	}
}

func TestMarksAreShownAsTheyAreWritten(t *testing.T) {
	s := NewScrubber()
	m := "\uE0C0db:00ff\uE0C1"
	for _, text := range []string{"no " + m, fmt.Sprintf("no %q", m)} {
		if got := s.Scrub(text); !strings.Contains(got, `${secret("db")}`) || strings.Contains(got, "00ff") {
			t.Error(got)
		}
	}
	var out strings.Builder
	w := s.Writer(&out)
	if n, err := w.Write([]byte("a " + m + "\n")); n != len("a "+m+"\n") || err != nil {
		t.Error(n, err)
	}
	if out.String() != "a ${secret(\"db\")}\n" {
		t.Errorf("%q", out.String())
	}
}

func BenchmarkScrub(b *testing.B) {
	const text = "cannot start it: exited with code 3; last output: FATAL: password authentication failed for user \"orders\" on db.example.org"
	for _, n := range []int{0, 1, 100} {
		b.Run(fmt.Sprint(n, " secrets"), func(b *testing.B) {
			s := NewScrubber()
			for i := range n {
				s.Learn("db", fmt.Sprintf("correct-horse-battery-%d-staple", i))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Scrub(text)
			}
		})
	}
}

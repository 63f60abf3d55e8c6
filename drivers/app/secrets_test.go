package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// marked is text as the loader leaves it where a file says secret("db").
func marked(fingerprint string) string { return "\uE0C0db:" + fingerprint + "\uE0C1" }

const value = "v4lue-0f-the-secret"

// withSecrets is a task whose secret has a value.
func (h *host) withSecrets(c *Config, reveal func(string) (string, error)) *app {
	h.t.Helper()
	var r drivers.Registry
	Register(&r, h.keeper)
	o := drivers.Opening{Address: "web/app.main", Service: "web", Node: "n1", Reveal: func(text string) (string, error) { return spec.Reveal(text, reveal) }}
	d, err := r.Open(o, &spec.Resource{Address: o.Address, Kind: "app", Config: c})
	if err != nil {
		h.t.Fatal(err)
	}
	return d.(*app)
}

func known(string) (string, error) { return value, nil }

func TestSecretsReachTheProcessAndNothingElse(t *testing.T) {
	h := newConfinedHost(t)
	c := trying(t, sandbox(), "env PASSWORD", "read "+h.opts.RunDir+"/credentials/password", "stat "+h.opts.RunDir+"/credentials/password", "env CREDENTIALS_DIRECTORY", "sleep")
	c.User = nobody
	c.Env, c.Credentials = map[string]string{"PASSWORD": "<" + marked("aa") + ">"}, map[string]string{"password": marked("aa")}
	d := h.withSecrets(c, known)
	h.start(d)
	log := filepath.Join(h.opts.LogDir, "web", "app.main.log")
	said := ""
	h.until("what the app says", func() bool {
		b, _ := os.ReadFile(log)
		said = string(b)
		return strings.Count(said, "\n") >= 4
	})
	for _, want := range []string{"PASSWORD: <" + value + ">", "password: " + value, "password: 400 65534", "CREDENTIALS_DIRECTORY: " + h.opts.RunDir + "/credentials"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(h.opts.RunDir, "credentials")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if hash := d.digest(c); strings.Contains(hash, value) {
		t.Error(hash)
	}
}

func TestAnotherValueOfASecretIsAnotherConfiguration(t *testing.T) {
	for name, set := range map[string]func(*Config, string){
		"env":         func(c *Config, text string) { c.Env = map[string]string{"A": text} },
		"credentials": func(c *Config, text string) { c.Credentials = map[string]string{"a": text} },
	} {
		one, same, other := config("true"), config("true"), config("true")
		set(one, marked("aa"))
		set(same, marked("aa"))
		set(other, marked("bb"))
		if one.digest() != same.digest() || one.digest() == other.digest() {
			t.Errorf("%s: %s, %s, %s", name, one.digest(), same.digest(), other.digest())
		}
	}
}

func TestASecretThatCantBeUsedIsNotShownByTheError(t *testing.T) {
	h := newHost(t)
	for want, reveal := range map[string]func(string) (string, error){
		"no secret \"db\"": func(string) (string, error) { return "", errors.New("there is no secret \"db\"") },
		"is no text":       func(string) (string, error) { return value + "\x00", nil },
		"bytes together":   func(string) (string, error) { return strings.Repeat(value, maxCredentials/len(value)+1), nil },
	} {
		c := config("true")
		if c.Env = map[string]string{"PASSWORD": marked("aa")}; want == "bytes together" {
			c.Env, c.Credentials = nil, map[string]string{"password": marked("aa")}
		}
		err := h.withSecrets(c, reveal).Start(h.ctx())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), value) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTheWordsOfACommandShowWhereTheyWereCut(t *testing.T) {
	var out tail
	out.Write([]byte("all of it"))
	if got := out.text(); got != "all of it" {
		t.Errorf("%q", got)
	}
	out.Write([]byte(strings.Repeat("x", 800) + value))
	if got := out.text(); !strings.HasPrefix(got, "…xx") || !strings.HasSuffix(got, value) {
		t.Errorf("%q", got)
	}
}

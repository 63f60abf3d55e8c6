package http

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// The benchmark's server is a process of its own, so that only the check's cost is counted.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE_HTTP") != "" {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }))
		fmt.Println(s.URL)
		select {}
	}
	os.Exit(m.Run())
}

func opened(t testing.TB, c Config) drivers.Prober {
	t.Helper()
	if c.Method == "" {
		c.Method = "GET"
	}
	if c.Status == "" {
		c.Status = "200-399"
	}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "http", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func status(t *testing.T, c Config, timeout time.Duration) drivers.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := opened(t, c).Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheAnswerDecides(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.Host, r.Header.Get("X-Token"), r.URL.RawQuery)
	})
	mux.HandleFunc("/ill", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) })
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 1<<20)+"needle")
	})
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := httptest.NewUnstartedServer(mux)
		l, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		for _, c := range []struct {
			config Config
			detail string // "": passes
		}{
			{Config{URL: "/ok"}, ""},
			{Config{URL: "/ok?a=1", Method: "POST", Headers: map[string]string{"host": "shop", "x-token": "t"}, Body: `POST shop t "a=1"`}, ""},
			{Config{URL: "/ok", Match: "^GET .*[0-9]+"}, ""},
			{Config{URL: "/ok", Body: "absent"}, `answered 200 without "absent" in its body, which starts with "GET `},
			{Config{URL: "/ok", Match: "^absent"}, "answered 200 without a match of ^absent in its body"},
			{Config{URL: "/ill"}, "answered 503, wanted 200-399"},
			{Config{URL: "/ill", Status: "200, 500-503"}, ""},
			{Config{URL: "/hints", Status: "204"}, ""},
			{Config{URL: "/moved"}, ""},
			{Config{URL: "/moved", Status: "200"}, `answered 302, wanted 200 (redirects to "/ok", which is not followed)`},
			{Config{URL: "/big"}, ""},
			{Config{URL: "/big", Method: "HEAD"}, ""},
			{Config{URL: "/big", Body: "needle"}, `answered 200 without "needle" in the first 64 KiB of its body`},
		} {
			c.config.URL = s.URL + c.config.URL
			got := status(t, c.config, time.Minute)
			if (got.State == drivers.Up) != (c.detail == "") || !strings.HasPrefix(got.Detail, c.detail) {
				t.Errorf("%+v: %+v, want %q", c.config, got, c.detail)
			}
		}
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if got := status(t, Config{URL: s.URL}, time.Minute); got.State != drivers.Down || !strings.Contains(got.Detail, "certificate") {
		t.Errorf("an unknown certificate: %+v", got)
	}
	for _, c := range []Config{{URL: s.URL, CA: ca}, {URL: s.URL, Insecure: true}} {
		if got := status(t, c, time.Minute); got.State != drivers.Up {
			t.Errorf("%+v", got)
		}
	}
	plain := httptest.NewServer(nil)
	defer plain.Close()
	if got := status(t, Config{URL: strings.Replace(plain.URL, "http:", "https:", 1)}, time.Minute); got.State != drivers.Down {
		t.Errorf("TLS to a plain server: %+v", got)
	}
}

func TestEachWayToFailHasItsOwnWords(t *testing.T) {
	for _, c := range []struct {
		name   string
		says   string // before it closes or falls silent
		closes bool
		detail string
	}{
		{"hung", "", false, "while waiting for the first byte at "},
		{"half a head", "HTTP/1.1 200 OK\r\nX: y", false, "while waiting for the end of the answer's head at "},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, "while waiting for the body at "},
		{"closed", "", true, "was closed while waiting for the first byte"},
		{"broken body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, "was closed while waiting for the body"},
		{"not HTTP", "SSH-2.0-OpenSSH_9\r\n", true, "does not speak HTTP/1"},
		{"an endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 50_000), true, "answered with a head of more than 64 KiB"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, c.says)
			if !c.closes {
				io.Copy(io.Discard, conn)
			}
		}()
		timeout := time.Minute
		if !c.closes {
			timeout = time.Second
		}
		got := status(t, Config{URL: "http://" + l.Addr().String(), Body: "x"}, timeout)
		if got.State != drivers.Down || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s: %+v, want %q", c.name, got, c.detail)
		}
		l.Close()
		if c.name == "closed" {
			got = status(t, Config{URL: "http://" + l.Addr().String()}, time.Minute)
			if want := "connection refused at " + l.Addr().String(); got.Detail != want {
				t.Errorf("%q, want %q", got.Detail, want)
			}
		}
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := Config{URL: "http://[2001:db8::1]:80/", Method: "GET", Status: "200"}
	if found := good.Validate(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	for _, u := range []string{"", "host:80", "ftp://host/", "http://", "http://2001:db8::1/", "http://2001:db8::1:80/", "http://h:0/", "http://h:99999/", "http://me:secret@h/", "http://%zz/"} {
		c := good
		c.URL = u
		if found := c.Validate(); len(found) != 1 || found[0].Field != "url" {
			t.Errorf("%q: %+v", u, found)
		}
	}
	for field, change := range map[string]func(*Config){
		"method":  func(c *Config) { c.Method = "GET /" },
		"status":  func(c *Config) { c.Status = "2xx" },
		"match":   func(c *Config) { c.Match = "(" },
		"headers": func(c *Config) { c.Headers = map[string]string{"X": "a\r\nY: b"} },
		"ca":      func(c *Config) { c.CA = "/etc/ca.pem" },
	} {
		c := good
		change(&c)
		if found := c.Validate(); len(found) != 1 || found[0].Field != field {
			t.Errorf("%s: %+v", field, found)
		}
	}
	for _, s := range []string{"", "99", "600", "300-200", "200,", "-", "200-"} {
		if _, err := parseStatus(s); err == nil {
			t.Errorf("status %q passes", s)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "SERVE_HTTP=1")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	p := opened(b, Config{URL: strings.TrimSpace(address), Body: "fine"})
	var before, after syscall.Rusage
	b.ReportAllocs()
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		if s, err := p.Status(ctx); err != nil || s.State != drivers.Up {
			b.Fatal(s, err)
		}
		cancel()
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/op")
}

// inHeader is how a secret stands in text.
const inHeader = "Bearer \uE0C0token:ab\uE0C1"

func TestASecretIsRevealedForEachRequestAndShownNowhere(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
	}))
	defer s.Close()
	value, failure := "first", error(nil)
	o := drivers.Opening{Reveal: func(text string) (string, error) {
		out, err := spec.Reveal(text, func(string) (string, error) { return value, failure })
		return out, err
	}}
	p, err := open(o, &Config{URL: s.URL, Method: "GET", Status: "200", Headers: map[string]string{"authorization": inHeader}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value   string
		failure error
		state   drivers.State
		detail  string
	}{
		{"first", nil, drivers.Up, ""},
		{"second", nil, drivers.Up, ""},
		{"two\r\nlines", nil, drivers.Down, "the secret in header authorization has a line break"},
		{"", os.ErrNotExist, drivers.Down, "file does not exist"},
	} {
		value, failure = c.value, c.failure
		st, err := p.Status(t.Context())
		if err != nil || st.State != c.state || !strings.HasPrefix(st.Detail, c.detail) || c.value != "" && strings.Contains(st.Detail, c.value) {
			t.Errorf("%q: %+v, %v", c.value, st, err)
		}
	}
	if want := "Bearer first|Bearer second"; strings.Join(got, "|") != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}

func TestWhatIsShownOfABodyEndsInDotsWhereItIsCut(t *testing.T) {
	// What looks for secrets in it looks there, in front of the dots.
	p := &prober{config: &Config{Body: "absent"}}
	why, err := p.search(&http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(strings.Repeat("ä", 50)))})
	if want := `which starts with "` + strings.Repeat("ä", 40) + `…"`; err != nil || !strings.HasSuffix(why, want) {
		t.Errorf("%s, %v", why, err)
	}
}

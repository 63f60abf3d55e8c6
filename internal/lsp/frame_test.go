package lsp

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/sourcegraph/jsonrpc2"
)

// endless gives one byte for ever, and counts.
type endless struct {
	c byte
	n int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.c
	}
	e.n += len(p)
	return len(p), nil
}

func TestAHeaderThatCantBeMeantEndsTheSessionWithAReason(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Length: 16777217\r\n\r\n":                       "at most 16777216",
		"Content-Length: 99999999999999999999\r\n\r\n":           "at most",
		"Content-Length: -1\r\n\r\n":                             `is "-1"`,
		"Content-Length: +2\r\n\r\n{}":                           `is "+2"`,
		"Content-Length: 2a\r\n\r\n{}":                           `is "2a"`,
		"Content-Length:\r\n\r\n":                                `is ""`,
		"Content-Length: 2\r\ncontent-length: 2\r\n\r\n{}":       "twice",
		"Content-Type: text/plain\r\n\r\n{}":                     "missing",
		"\r\n\r\n":                                               "missing",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                      "no name and value",
		"{\"jsonrpc\":\"2.0\"}\r\n\r\n":                          "cannot read a header",
		"Content-Length: 2":                                      "ends inside",
		"Content-Length: 9\r\n\r\n{}":                            "ends after 2",
		strings.Repeat("X: y\r\n", 1000) + "\r\n":                "longer than",
		"Content-Length: 2" + strings.Repeat(" ", 5000) + "\r\n": "longer than",
	} {
		_, err := newFrames(strings.NewReader(header), io.Discard).read()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", header, err, want)
		}
		served := Serve(t.Context(), strings.NewReader(header), io.Discard, Options{Kinds: kinds()})
		if served == nil || served.Error() != err.Error() {
			t.Errorf("%.60q: the session ends with %v", header, served)
		}
	}
	if _, err := newFrames(strings.NewReader(""), io.Discard).read(); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the input is %v", err)
	}
}

func TestAnEndlessHeaderIsGivenUpSoon(t *testing.T) {
	for _, c := range []byte("a:\n") {
		in := &endless{c: c}
		if _, err := newFrames(in, io.Discard).read(); err == nil || in.n > 4*maxHeader {
			t.Errorf("of %q, %d bytes were read: %v", c, in.n, err)
		}
	}
}

func TestMemoryGrowsWithWhatArrivesNotWithWhatIsClaimed(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		if _, err := newFrames(strings.NewReader("Content-Length: 16000000\r\n\r\n{"), io.Discard).read(); err == nil {
			t.Fatal("a message that is cut off is taken")
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("64 messages of one byte each took %d bytes", got)
	}
}

func TestWhatIsNoMessageIsAnsweredAndTheNextIsRead(t *testing.T) {
	var in, out bytes.Buffer
	for _, body := range []string{"{", "[]", "7", `{"jsonrpc":"2.0"}`, `{"id":1,"method":3}`, `{"jsonrpc":"2.0","id":[],"method":"x"}`, `{"jsonrpc":"2.0","id":7,"method":"shutdown"}`} {
		frame(&in, body)
	}
	f := newFrames(&in, &out)
	var r jsonrpc2.Request
	if err := f.ReadObject(&r); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), bytes.NewReader(nil), &out, Options{Kinds: kinds()}); err == nil {
		t.Error("a session without a word ends well")
	}
	if !strings.Contains(out.String(), `"code":-32700`) {
		t.Errorf("the answers are %s", out.String())
	}
}

func frame(b *bytes.Buffer, body string) {
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

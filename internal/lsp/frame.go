package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

const (
	maxMessage = 16 << 20 // bytes; an open file of 4 MiB fits in, escaped
	maxHeader  = 4 << 10  // all lines of one header together
)

// frames carries messages, each behind a header that says its length. Read by one
// goroutine, written by any.
type frames struct {
	in      *bufio.Reader
	inner   io.Reader
	writing sync.Mutex // held for as long as the client does not read
	out     io.Writer

	mu     sync.Mutex
	closed bool
	broken error // why reading ended; read it once the connection is gone
}

func newFrames(in io.Reader, out io.Writer) *frames {
	return &frames{in: bufio.NewReaderSize(in, maxHeader), inner: in, out: out}
}

// ReadObject implements jsonrpc2.ObjectStream. What is framed well and is no message is
// answered here, since it has no sender's number that a handler could answer.
func (f *frames) ReadObject(v any) error {
	for {
		body, err := f.read()
		if f.isClosed() {
			return io.EOF
		}
		if err != nil {
			f.mu.Lock()
			f.broken = err
			f.mu.Unlock()
			return err
		}
		if err = json.Unmarshal(body, v); err == nil {
			return nil
		}
		reflect.ValueOf(v).Elem().SetZero() // it may be half filled
		code := int64(jsonrpc2.CodeInvalidRequest)
		if !json.Valid(body) {
			code = jsonrpc2.CodeParseError
		}
		refusal := &jsonrpc2.Error{Code: code, Message: "cannot read a message: it is no JSON-RPC 2.0 request or response"}
		if err := f.WriteObject(map[string]any{"jsonrpc": "2.0", "id": nil, "error": refusal}); err != nil {
			return err
		}
	}
}

// read returns the body of the next message. Memory grows with what arrives, not with
// what the header says.
func (f *frames) read() ([]byte, error) {
	length, err := f.header()
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(f.in, length))
	if err != nil {
		return nil, fmt.Errorf("cannot read a message: %w", err)
	}
	if n < length {
		return nil, fmt.Errorf("cannot read a message of %d bytes: the input ends after %d: %w", length, n, io.ErrUnexpectedEOF)
	}
	return body.Bytes(), nil
}

func (f *frames) header() (int64, error) {
	length, size := int64(-1), 0
	for {
		line, err := f.in.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, io.EOF) && size == 0:
			return 0, io.EOF
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("cannot read a header: the input ends inside it: %w", io.ErrUnexpectedEOF)
		case size > maxHeader || errors.Is(err, bufio.ErrBufferFull):
			return 0, fmt.Errorf("cannot read a header: it is longer than %d bytes", maxHeader)
		case err != nil:
			return 0, fmt.Errorf("cannot read a header: %w", err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return 0, fmt.Errorf("cannot read a header: the line %.40q is no name and value (does the client speak the language server protocol?)", text)
		}
		if !strings.EqualFold(name, "Content-Length") {
			continue
		}
		if length >= 0 {
			return 0, errors.New("cannot read a header: Content-Length is there twice")
		}
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
		if err != nil || n > maxMessage {
			return 0, fmt.Errorf("cannot read a message: its Content-Length is %.40q (at most %d)", strings.TrimSpace(value), maxMessage)
		}
		length = int64(n)
	}
	if length < 0 {
		return 0, errors.New("cannot read a header: Content-Length is missing")
	}
	return length, nil
}

// WriteObject implements jsonrpc2.ObjectStream.
func (f *frames) WriteObject(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write a message: %w", err)
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.isClosed() {
		return jsonrpc2.ErrClosed
	}
	_, err = f.out.Write(append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...))
	return err
}

// Close implements jsonrpc2.ObjectStream. It ends a read that waits, where the input
// can be closed.
func (f *frames) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	if c, ok := f.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (f *frames) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// reason says why the input ended, nil where it simply did.
func (f *frames) reason() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(f.broken, io.EOF) {
		return nil
	}
	return f.broken
}

package keeper

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
)

// maxFrame bounds a message: a list of some ten thousand processes fits.
const maxFrame = 32 << 20

// maxPending bounds what a peer that does not read may leave unsent.
const maxPending = 2 * maxFrame

func encode(f *frame) []byte {
	body, err := json.Marshal(f)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	out := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(out, uint32(len(body)))
	return append(out, body...)
}

// missing is the first feature that a keeper must have to do what is asked, and has not.
func (f *frame) missing(k *conn) string {
	if k == nil {
		return ""
	}
	needs := func(feature string, needed bool) bool { return needed && !slices.Contains(k.features, feature) }
	switch {
	case needs(featureReplace, f.Op == opReplace):
		return featureReplace
	case needs(featureSandbox, f.Start != nil && f.Start.Confine != nil):
		return featureSandbox
	case needs(featureCredentials, f.Start != nil && len(f.Start.Files) > 0):
		return featureCredentials
	}
	return ""
}

// readFrame reads into buf where it is large enough, and returns the buffer for the next call.
func readFrame(r *bufio.Reader, buf []byte) (*frame, []byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, buf, err
	}
	announced := binary.BigEndian.Uint32(head)
	if announced > maxFrame {
		return nil, buf, fmt.Errorf("cannot read a message: %d bytes are announced, more than %d (is that a keeper's socket?)", announced, maxFrame)
	}
	n := int(announced)
	if _, err := r.Discard(4); err != nil {
		return nil, buf, err
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, buf, err
	}
	f := new(frame)
	err = json.Unmarshal(buf[:n], f)
	clear(buf[:n]) // a request may hold secrets
	if err != nil {
		return nil, buf, fmt.Errorf("cannot read a message: %w (is that a keeper's socket?)", err)
	}
	if n > 1<<16 {
		buf = nil // one large list must not stay in memory
	}
	return f, buf, nil
}

// conn sends without ever blocking the sender: what the socket does not take at
// once is sent by a goroutine that lives as long as there is something left.
type conn struct {
	net     *net.UnixConn
	raw     syscall.RawConn
	mu      sync.Mutex
	pending []byte
	sending bool
	broken  bool // the peer takes nothing any more
	hello   bool // events are for those that said hello; held by the server's lock
	moved   bool // it was told that the keeper takes up a new program; held by the server's lock

	features []string // of the keeper, as its hello told
	keeper   Info
}

func newConn(c *net.UnixConn) (*conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &conn{net: c, raw: raw}, nil
}

// send may be called from any goroutine. A peer that leaves more than maxPending
// unread is cut off.
func (c *conn) send(f *frame) {
	b := encode(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return
	}
	if !c.sending {
		n := 0
		err := c.raw.Write(func(fd uintptr) bool {
			if w, err := syscall.Write(int(fd), b); err == nil {
				n = w
			}
			return true
		})
		if err != nil || n == len(b) {
			return // an error ends the reader too, which cleans up
		}
		b = b[n:]
		c.sending = true
		go c.drain()
	}
	c.pending = append(c.pending, b...)
	if len(c.pending) > maxPending {
		c.net.Close()
	}
}

func (c *conn) drain() {
	for {
		c.mu.Lock()
		b := c.pending
		c.pending = nil
		if len(b) == 0 {
			c.sending = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if _, err := c.net.Write(b); err != nil {
			c.mu.Lock()
			c.broken = true // what the peer said before it went is still to be read
			c.mu.Unlock()
			return
		}
	}
}

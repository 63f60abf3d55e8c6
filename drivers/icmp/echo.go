package icmp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
)

var errForbidden = errors.New("cannot send ICMP requests: the kernel does not permit it (run the agent as root, or put its group in the sysctl net.ipv4.ping_group_range)")

// nonce and runs make each run of each check different from all others, also those of
// other processes: the identifier of ICMP alone has 16 bits, which come around.
var (
	nonce = newNonce()
	runs  atomic.Uint64
)

func newNonce() (n [8]byte) {
	rand.Read(n[:]) // never fails: it ends the program instead
	return n
}

// echo is a socket that is connected to one host, so that the kernel passes on what
// that host says and nothing else, and also tells its errors.
type echo struct {
	file  *os.File
	raw   syscall.RawConn
	four  bool
	bare  bool // a raw IPv4 socket gives the IP header too
	run   uint64
	buf   []byte
	ended atomic.Bool
}

// dial opens the socket inside the network namespace at the path; "" is the agent's.
func dial(namespace string, to, source netip.Addr, device string) (*echo, error) {
	to, source = to.Unmap(), source.Unmap()
	e := &echo{four: to.Is4(), run: runs.Add(1)}
	var fd int
	err := netns.Do(namespace, func() (err error) {
		if fd, err = e.open(); err != nil {
			return err
		}
		if err = join(fd, to, source, device); err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	e.file = os.NewFile(uintptr(fd), "icmp check")
	if e.raw, err = e.file.SyscallConn(); err != nil {
		e.file.Close()
		return nil, err
	}
	return e, nil
}

// open takes a raw socket where that is permitted, or one that the kernel keeps to echoes.
func (e *echo) open() (fd int, err error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if !e.four {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	forbidden := func() bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) }
	fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		e.bare = e.four
		e.hearOurs(fd)
	} else if forbidden() {
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	}
	if forbidden() {
		return -1, errForbidden
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open a socket: %w", err)
	}
	return fd, nil
}

// filters let pass what answers the identifier in the fifth instruction.
var filters = map[bool][]bpf.RawInstruction{ // by whether it is IPv4
	true:  filter(bpf.LoadMemShift{Off: 0}, uint32(ipv4.ICMPTypeEchoReply)), // the IP header is before it
	false: filter(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, uint32(ipv6.ICMPTypeEchoReply)),
}

func filter(begin bpf.Instruction, reply uint32) []bpf.RawInstruction {
	program, err := bpf.Assemble([]bpf.Instruction{begin,
		bpf.LoadIndirect{Off: 0, Size: 1}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: reply, SkipTrue: 3},
		bpf.LoadIndirect{Off: 4, Size: 2}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 17}, bpf.RetConstant{Val: 0}})
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return program
}

// hearOurs keeps other answers of the host out of the socket's queue, which many checks
// of one host would else fill for each other. A failure costs only time.
func (e *echo) hearOurs(fd int) {
	program := make([]unix.SockFilter, len(filters[e.four]))
	for i, in := range filters[e.four] {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	program[4].K = uint32(uint16(e.run))
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func join(fd int, to, source netip.Addr, device string) error {
	if device != "" {
		if err := unix.BindToDevice(fd, device); err != nil {
			if errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("there is no interface %s (see ip link)", device)
			}
			return fmt.Errorf("it can't be asked by the interface %s: %w", device, err)
		}
	}
	if source.IsValid() {
		if err := unix.Bind(fd, sockaddr(source)); err != nil {
			return fmt.Errorf("it can't be asked from %s: %w (is the address on this host?)", source, err)
		}
	}
	return unix.Connect(fd, sockaddr(to))
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Addr: a.As16()}
	if zone := a.Zone(); zone != "" {
		if link, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(link.Index)
		}
	}
	return sa
}

func (e *echo) close() { e.file.Close() }

func (e *echo) interrupt() {
	e.ended.Store(true)
	e.file.SetReadDeadline(time.Unix(1, 0))
}

// tally is what a run has seen.
type tally struct {
	sent, heard  int
	sum, longest time.Duration
}

// ask sends count requests and returns once all are answered, or at end. The error is
// the last that the kernel told; answers may have come all the same.
func (e *echo) ask(ctx context.Context, count, size int, interval time.Duration, end time.Time) (t tally, err error) {
	sent := make([]time.Time, count)
	e.buf = make([]byte, size+128)
	began := time.Now()
	for i := range count {
		if ctx.Err() != nil || time.Now().After(end) {
			break
		}
		request, wrong := e.request(i, size)
		if wrong != nil {
			return t, wrong
		}
		sent[i] = time.Now()
		if told := e.send(request); told != nil {
			err = told
		}
		t.sent++
		until := end
		if next := began.Add(time.Duration(i+1) * interval); i+1 < count && next.Before(end) {
			until = next
		}
		if told := e.hear(&t, sent, until, i+1 < count); told != nil {
			err = told
		}
	}
	return t, errors.Join(err, ctx.Err())
}

func (e *echo) request(seq, size int) ([]byte, error) {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho}
	if !e.four {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	data := make([]byte, size)
	copy(data, nonce[:])
	binary.BigEndian.PutUint64(data[8:], e.run)
	m.Body = &icmp.Echo{ID: int(uint16(e.run)), Seq: seq, Data: data}
	return m.Marshal(nil) // the kernel puts the checksum of ICMPv6
}

func (e *echo) send(request []byte) (err error) {
	told := e.raw.Control(func(fd uintptr) { _, err = unix.Write(int(fd), request) })
	return errors.Join(told, err)
}

// hear takes answers until all requests that were sent are answered or the time is
// over. With rest it waits that time out also where nothing is missing.
func (e *echo) hear(t *tally, sent []time.Time, until time.Time, rest bool) error {
	if e.ended.Load() {
		return context.Canceled
	}
	e.file.SetReadDeadline(until)
	if e.ended.Load() { // it came between: the deadline just set is not to stand
		return context.Canceled
	}
	for t.heard < t.sent || rest {
		n, err := e.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			if !rest || !errors.As(err, new(syscall.Errno)) {
				return err
			}
			continue // the kernel tells an error once, and there are more requests to come
		}
		if seq, ours := e.ours(e.buf[:n]); ours && seq < len(sent) && !sent[seq].IsZero() {
			took := time.Since(sent[seq])
			sent[seq] = time.Time{} // the second answer to one request is none
			t.heard++
			t.sum += took
			t.longest = max(t.longest, took)
		}
	}
	return nil
}

// read waits for the next packet. It asks the kernel first: a host nearby has answered
// before the runtime's poller would have been told what to wait for.
func (e *echo) read() (n int, err error) {
	told := e.raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), e.buf)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if told != nil {
		return 0, told
	}
	return n, err
}

// ours returns the number of the request that a packet answers.
func (e *echo) ours(b []byte) (seq int, ours bool) {
	protocol := 58
	if e.four {
		protocol = 1
	}
	if e.bare {
		if len(b) < 20 || len(b) < int(b[0]&15)*4 {
			return 0, false
		}
		b = b[int(b[0]&15)*4:]
	}
	m, err := icmp.ParseMessage(protocol, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return 0, false
	}
	body, ok := m.Body.(*icmp.Echo)
	if !ok || len(body.Data) < tokenSize || [8]byte(body.Data[:8]) != nonce || binary.BigEndian.Uint64(body.Data[8:]) != e.run {
		return 0, false
	}
	return body.Seq, true
}

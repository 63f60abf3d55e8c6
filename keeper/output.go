package keeper

import (
	"bytes"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stamp = "2006-01-02T15:04:05.000Z07:00"

	maxLine  = 8 << 10 // a longer line is split
	maxTail  = 2 << 10 // of the last lines that stay in memory
	maxLast  = 20      // lines of these
	readSize = 16 << 10

	// maxUnwritten bounds what waits for the disk over all logs. Above it the readers
	// wait, so that no line is lost to a burst; but only for patience, since a hung
	// disk must not hold up the programs.
	maxUnwritten = 1 << 20
	patience     = time.Second
)

const cutHere = "…"

// stream is the output of one run. All fields are guarded by outputs.mu.
type stream struct {
	fd      int // -1 once closed
	log     *logFile
	partial []byte
	pending []byte
	tail    []byte
	queued  bool
	dropped int64
	onDrop  func() // called once, without locks, at the first dropped line
	told    bool
}

// notifier is the socket that a process reports its readiness to.
type notifier struct {
	fd     int
	path   string // "": its address is abstract
	notify func(message []byte, uid uint32)
}

// outputs reads the pipes of all processes in one goroutine, and writes their logs
// in another one, which a hung disk may stop.
type outputs struct {
	epoll   int
	reading sync.Mutex // held while an event is taken care of; taken before mu

	mu        sync.Mutex
	streams   map[int]*stream
	notifiers map[int]*notifier
	dirty     []*stream
	unwritten int
	stuck     bool
	wake      chan struct{} // the writer has work
	drained   chan struct{} // the writer got on
	last      []byte        // the formatted time of lastAt
	lastAt    int64
}

func newOutputs() (*outputs, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	o := &outputs{
		epoll: fd, streams: make(map[int]*stream), notifiers: make(map[int]*notifier),
		wake: make(chan struct{}, 1), drained: make(chan struct{}, 1),
	}
	go o.read()
	go o.write()
	return o, nil
}

// add takes over the reading end of a pipe.
func (o *outputs) add(fd int, log *logFile, onDrop func()) (*stream, error) {
	st := &stream{fd: fd, log: log, onDrop: onDrop}
	if err := o.watch(st); err != nil {
		return nil, err
	}
	return st, nil
}

func (o *outputs) watch(st *stream) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams[st.fd] = st
	err := unix.EpollCtl(o.epoll, unix.EPOLL_CTL_ADD, st.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(st.fd)})
	if err != nil {
		delete(o.streams, st.fd)
	}
	return err
}

func (o *outputs) addNotifier(n *notifier) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notifiers[n.fd] = n
	if err := unix.EpollCtl(o.epoll, unix.EPOLL_CTL_ADD, n.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n.fd)}); err != nil {
		delete(o.notifiers, n.fd)
		return err
	}
	return nil
}

func (o *outputs) removeNotifier(n *notifier) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.notifiers[n.fd] == n {
		delete(o.notifiers, n.fd)
		n.close()
	}
}

func (o *outputs) read() {
	events := make([]unix.EpollEvent, 64)
	buf := make([]byte, readSize)
	for {
		n, err := unix.EpollWait(o.epoll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			panic("internal error: epoll_wait: " + err.Error())
		}
		for _, ev := range events[:n] {
			o.reading.Lock()
			o.event(int(ev.Fd), buf)
			o.reading.Unlock()
		}
	}
}

func (o *outputs) event(fd int, buf []byte) {
	o.waitForDisk()
	o.mu.Lock()
	var told func()
	st, nt := o.streams[fd], o.notifiers[fd]
	if st != nil {
		_, told = o.take(st, buf)
	}
	o.mu.Unlock()
	if told != nil {
		told()
	}
	if nt != nil {
		o.receive(nt, buf)
	}
}

// written says whether the disk has every line.
func (o *outputs) written() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unwritten == 0
}

// waitForDisk lets the writer catch up, for a bounded time.
func (o *outputs) waitForDisk() {
	o.mu.Lock()
	full := o.unwritten > maxUnwritten && !o.stuck
	o.mu.Unlock()
	if !full {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for full {
		select {
		case <-o.drained:
			o.mu.Lock()
			full = o.unwritten > maxUnwritten
			o.mu.Unlock()
		case <-timer.C:
			o.mu.Lock()
			o.stuck = true // until the writer gets on
			o.mu.Unlock()
			return
		}
	}
}

// take reads once. It reports whether there may be more, and whom to tell of the
// first dropped line.
func (o *outputs) take(st *stream, buf []byte) (more bool, told func()) {
	n, err := unix.Read(st.fd, buf)
	switch {
	case err == unix.EINTR:
		return true, nil
	case err == unix.EAGAIN:
		return false, nil
	case err != nil || n == 0:
		o.finish(st)
	default:
		o.append(st, buf[:n])
	}
	return n == len(buf), o.tell(st)
}

func (o *outputs) tell(st *stream) func() {
	if st.dropped > 0 && !st.told {
		st.told = true
		return st.onDrop
	}
	return nil
}

// finish flushes the last, partial line and closes the pipe.
func (o *outputs) finish(st *stream) {
	if st.fd < 0 {
		return
	}
	if len(st.partial) > 0 {
		o.line(st, st.partial)
		st.partial = nil
	}
	delete(o.streams, st.fd)
	unix.Close(st.fd)
	st.fd = -1
}

func (o *outputs) append(st *stream, b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		switch {
		case end >= 0 && len(st.partial)+end <= maxLine:
			if len(st.partial) > 0 {
				o.line(st, append(st.partial, b[:end]...))
				st.partial = nil
			} else {
				o.line(st, b[:end])
			}
			b = b[end+1:]
		case end < 0 && len(st.partial)+len(b) <= maxLine:
			st.partial = append(st.partial, b...)
			return
		default:
			n := maxLine - len(st.partial)
			o.line(st, append(st.partial, b[:n]...))
			st.partial, b = nil, b[n:]
		}
	}
}

func (o *outputs) line(st *stream, text []byte) {
	if len(st.tail)+len(text)+1 > maxTail {
		keep := st.tail
		for len(keep) > 0 && len(keep)+len(text)+1 > maxTail {
			end := bytes.IndexByte(keep, '\n')
			keep = keep[end+1:]
		}
		st.tail = append(st.tail[:0], keep...)
	}
	shown := text
	if len(shown) >= maxTail { // the dots say where it is cut: maybe in the middle of a secret
		shown = append(bytes.ToValidUTF8(shown[:maxTail-1-len(cutHere)], nil), cutHere...)
	}
	st.tail = append(append(st.tail, shown...), '\n')
	if st.log == nil {
		return
	}
	if o.stuck || o.unwritten > 2*maxUnwritten {
		st.dropped++
		st.log.lost++
		return
	}
	before := len(st.pending)
	st.pending = append(append(append(append(st.pending, o.now()...), ' '), text...), '\n')
	o.unwritten += len(st.pending) - before
	if !st.queued {
		st.queued = true
		o.dirty = append(o.dirty, st)
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

func (o *outputs) now() []byte {
	now := time.Now()
	if ms := now.UnixMilli(); ms != o.lastAt {
		o.last = now.AppendFormat(o.last[:0], stamp)
		o.lastAt = ms
	}
	return o.last
}

// drain reads what an ended process left in its pipe. Close is for when nobody else
// can hold the other end.
func (o *outputs) drain(st *stream, buf []byte, closing bool) {
	o.mu.Lock()
	for range 64 { // a pipe of the usual size, some times over
		if st.fd < 0 {
			break
		}
		if more, _ := o.take(st, buf); !more {
			break
		}
	}
	if closing {
		o.finish(st)
	}
	o.mu.Unlock()
}

// seen returns the last lines and the count of dropped ones.
func (o *outputs) seen(st *stream, lines bool) (last []string, dropped int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if lines {
		all := bytes.Split(bytes.TrimSuffix(st.tail, []byte{'\n'}), []byte{'\n'})
		if len(st.tail) == 0 {
			all = nil
		}
		for _, l := range all[max(0, len(all)-maxLast):] {
			last = append(last, string(l))
		}
	}
	return last, st.dropped
}

// write is the only goroutine that touches the disk.
func (o *outputs) write() {
	fs := &files{open: make(map[*logFile]struct{})}
	for range o.wake {
		for {
			o.mu.Lock()
			if len(o.dirty) == 0 {
				o.dirty = nil
				o.mu.Unlock()
				break
			}
			st := o.dirty[0]
			o.dirty = o.dirty[1:]
			lines, log := st.pending, st.log
			lost := log.lost
			log.lost = 0
			st.pending, st.queued = nil, false
			o.mu.Unlock()

			done, err := fs.write(log, lost, lines)

			o.mu.Lock()
			o.unwritten -= len(lines)
			o.stuck = false
			var told func()
			if err != nil {
				n := countLines(lines[done:])
				st.dropped += n
				log.lost += n
				if done == 0 {
					log.lost += lost // at worst the note is there twice
				}
				told = o.tell(st)
			}
			o.mu.Unlock()
			select {
			case o.drained <- struct{}{}:
			default:
			}
			if told != nil {
				told()
			}
		}
	}
}

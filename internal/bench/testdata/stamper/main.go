// Command stamper is the service that the benchmarks start: it tells when it runs, and then does as it is told.
package main

import (
	"strconv"
	"syscall"
	"unsafe"
)

// The settings come by environment, since runit and s6 pass no arguments:
// STAMP_TO names a FIFO, STAMP_NAME the service, STAMP_DO what to do then.
func main() {
	now := monotonic()
	to, _ := syscall.Getenv("STAMP_TO")
	name, _ := syscall.Getenv("STAMP_NAME")
	do, _ := syscall.Getenv("STAMP_DO")
	if name == "" {
		name = "-"
	}
	stamp(to, name, now)
	switch do {
	case "crash":
		syscall.Exit(1)
	case "ready":
		for left := now + 1e9 - monotonic(); left > 0; left = now + 1e9 - monotonic() {
			ts := syscall.NsecToTimespec(left)
			_ = syscall.Nanosleep(&ts, nil)
		}
		stamp(to, name+".ready", monotonic())
		notify()
	}
	for {
		_ = syscall.Pause()
	}
}

func stamp(to, name string, at int64) {
	fd, err := syscall.Open(to, syscall.O_WRONLY|syscall.O_APPEND, 0)
	if err != nil {
		syscall.Exit(3)
	}
	// One short write is atomic, on a FIFO as on a file.
	_, _ = syscall.Write(fd, []byte(name+" "+strconv.Itoa(syscall.Getpid())+" "+strconv.FormatInt(at, 10)+"\n"))
	_ = syscall.Close(fd)
}

func notify() {
	address, _ := syscall.Getenv("NOTIFY_SOCKET")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil || address == "" {
		syscall.Exit(4)
	}
	if err := syscall.Sendto(fd, []byte("READY=1"), 0, &syscall.SockaddrUnix{Name: address}); err != nil {
		syscall.Exit(5)
	}
}

func monotonic() int64 {
	var ts syscall.Timespec
	const clockMonotonic = 1
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

package keeper

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Build is the version that a keeper of this program says it is. The program sets it before Main.
var Build = "devel"

// A keeper starts its processes from the main thread, since that is the one which lives on
// when it takes up a new program: the death of another one would end its children. Only
// before main begins can one be sure to be on it.
func init() {
	stub := len(os.Args) > 2 && os.Args[2] == "exec"
	if filepath.Base(os.Args[0]) == "svcctl-keeper" || len(os.Args) > 1 && os.Args[1] == "keeper" && !stub {
		runtime.LockOSThread()
		if slices.Contains(os.Args, "--resume") {
			caught = listen() // who holds processes must not die of a signal before it serves
		}
	}
}

// caught is set where signals are taken before main begins.
var caught chan os.Signal

// listen takes signals. They are not ignored but handled: programs must start with the defaults.
func listen() chan os.Signal {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR2)
	return c
}

// Main runs the keeper, or with a first argument "exec" the stub between its fork
// and a program. args come behind the program's name (and, in a larger program,
// behind the word that leads here: "keeper"). It returns the exit code.
func Main(args []string) int {
	if len(args) > 0 && args[0] == "exec" {
		return runStub(args[1:])
	}
	if err := serve(args); err != nil {
		fmt.Fprintln(os.Stderr, "svcctl-keeper:", err)
		return 1
	}
	return 0
}

// options are the arguments of a keeper.
type options struct {
	run, logs      string
	tell           int
	idle           time.Duration
	unit, noGroups bool
	resume         int
	check, replace bool
	again          []string // arguments that reach Main again
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("keeper", flag.ContinueOnError)
	flags.StringVar(&o.run, "run", "/run/svcctl", "directory of the socket")
	flags.StringVar(&o.logs, "log", "/var/log/svcctl", "directory of the processes' output")
	flags.IntVar(&o.tell, "tell", 0, "descriptor that is told when the keeper serves, or why it can't")
	flags.DurationVar(&o.idle, "idle", 10*time.Second, "how long a keeper stays that nobody needs")
	flags.BoolVar(&o.unit, "unit", false, "as a unit of a service manager: stay without need, and end everything at SIGTERM")
	flags.BoolVar(&o.noGroups, "no-cgroups", false, "track by session and mark, as without permission for control groups")
	flags.BoolVar(&o.replace, "replace", false, "have the keeper that runs take up the program in its place, and say whether it did")
	flags.BoolVar(&o.check, "check", false, "say whether the state of a keeper, on standard input, can be gone on with")
	flags.IntVar(&o.resume, "resume", 0, "descriptor of the state to go on with; only a keeper sets it")
	err = flags.Parse(args)
	o.again = os.Args[1:max(1, len(os.Args)-len(args))]
	if o.unit {
		o.idle = forever
	}
	return o, err
}

func serve(args []string) (err error) {
	o, err := parse(args)
	switch {
	case err != nil:
		return err
	case o.check:
		return checkState(os.Stdin, os.Stdout)
	case o.replace:
		return replaceAt(o.run)
	}
	var told *os.File
	if o.tell > 2 && o.resume == 0 {
		syscall.CloseOnExec(o.tell)
		told = os.NewFile(uintptr(o.tell), "tell")
		defer func() {
			if err != nil {
				fmt.Fprint(told, err)
			}
		}()
	}
	debug.SetGCPercent(40)
	debug.SetMemoryLimit(24 << 20)
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	s, listener, err := establish(o)
	if err != nil {
		return err
	}
	s.argv = append([]string{program()}, os.Args[1:]...)
	if o.resume > 0 {
		s.argv = s.argv[:len(s.argv)-2] // the program before added the flag
	}
	if s.signals = caught; caught == nil {
		s.signals = listen()
	}
	unblockSignals()
	if told != nil {
		fmt.Fprint(told, "ok")
		told.Close()
	}
	go s.reap()
	go s.accept(listener)
	if s.unit {
		_, _ = daemon.SdNotify(true, daemon.SdNotifyReady) // a manager that can't be told starts us again
	}
	go func() {
		s.live()
		close(s.ended)
	}()
	s.forker()
	listener.Close()
	removeNotifySockets(s.dir)
	s.groups.close()
	s.lock.Close()
	return nil
}

// establish makes a keeper, or goes on with that of the program before.
func establish(o options) (*server, *net.UnixListener, error) {
	var s *server
	var listener *net.UnixListener
	if o.resume > 0 {
		file := os.NewFile(uintptr(o.resume), "state")
		st, err := readState(file)
		file.Close()
		if err != nil {
			return nil, nil, err
		}
		if s, listener, err = resume(st, o.again); err != nil {
			return nil, nil, err
		}
	} else {
		l, lock, err := claim(o.run)
		if err != nil {
			return nil, nil, err
		}
		if s, err = newServer(o); err != nil {
			return nil, nil, err
		}
		listener, s.lock = l, lock
	}
	s.listener, s.onMain = listener, unix.Gettid() == os.Getpid()
	s.umask = unix.Umask(0o022)
	unix.Umask(s.umask)
	runtime.LockOSThread() // the caller is the forker, which has an umask of its own
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, nil, fmt.Errorf("cannot start the forking thread: %w", err)
	}
	return s, listener, nil
}

// program is the path that this program was started by, which an upgrade gives a new file.
func program() string {
	name := os.Args[0]
	if !strings.Contains(name, "/") {
		if found, err := exec.LookPath(name); err == nil {
			name = found
		} else if name, err = os.Executable(); err != nil {
			return os.Args[0]
		}
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// claim takes the lock of a folder, so that it has one keeper, and its socket.
func claim(run string) (*net.UnixListener, *os.File, error) {
	if err := os.MkdirAll(run, 0o755); err != nil {
		return nil, nil, fmt.Errorf("cannot make %s: %w", run, err)
	}
	lock, err := os.OpenFile(filepath.Join(run, "keeper.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the lock: %w (is %s writable?)", err, run)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("cannot lock %s: another keeper serves this folder (%w)", lock.Name(), err)
	}
	path := filepath.Join(run, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("cannot remove the old socket: %w", err)
	}
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("cannot listen on %s: %w (is the path shorter than 104 bytes, and its folder writable?)", path, err)
	}
	return l, lock, nil
}

// blank is a server without its surroundings.
func blank(dir, logs string, idle time.Duration, again []string) *server {
	return &server{
		dir: dir, logs: logs, name: escape(dir[1:]), again: again, pid: os.Getpid(), uid: uint32(os.Geteuid()), idle: idle,
		groups: &groups{}, births: make(chan *birth, 64), born: make(chan struct{}, 1),
		entries: make(map[string]*entry), byPID: make(map[int]*entry),
		lingering: make(map[*entry]struct{}), conns: make(map[*conn]struct{}),
		run: uint64(boottime() / time.Microsecond), scratch: make([]byte, readSize),
		idleSince: time.Now(), removals: make(chan string, 1024), leave: make(chan struct{}, 8),
		moves: make(chan *move), wanted: make(chan func(error), 8), ended: make(chan struct{}),
	}
}

// surround opens what every keeper needs of the kernel.
func (s *server) surround() (err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become the parent of orphans: %w", err)
	}
	if s.null, err = os.Open(os.DevNull); err != nil {
		return err
	}
	s.out, err = newOutputs()
	return err
}

func newServer(o options) (*server, error) {
	abs, err := filepath.Abs(o.run)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve %s: %w", o.run, err)
	}
	s := blank(abs, o.logs, o.idle, o.again)
	s.unit = o.unit
	if !o.noGroups {
		s.groups = findGroups(s.name)
	}
	if err := s.surround(); err != nil {
		return nil, err
	}
	if err := endLeftovers(s.groups, s.name, killPatience); err != nil {
		return nil, err
	}
	removeNotifySockets(abs)
	return s, nil
}

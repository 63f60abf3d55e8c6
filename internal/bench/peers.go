package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peer is another supervisor, as its Debian package installs it, run on a directory
// of ours.
type peer struct {
	name    string
	program string // that must be installed
	write   func(dir string, services []service) error
	command func(dir string) []string
	// stop asks for the end of every service; the supervisor may end with them.
	stop func(p *running) error
}

// service is one program to keep up, for whichever supervisor.
type service struct {
	name string
	args []string
	env  map[string]string
	hcl  string // further arguments of the app, for ours
	more string // further arguments and resources of the service, for ours
}

// running is a supervisor that was started.
type running struct {
	name    string
	dir     string
	process *os.Process
	start   time.Time
}

var peers = []peer{
	{
		name: "runit", program: "runsvdir", write: writeRunScripts,
		command: func(dir string) []string { return []string{"runsvdir", "-P", dir} },
		stop:    func(p *running) error { return p.process.Signal(syscall.SIGHUP) },
	},
	{
		name: "s6", program: "s6-svscan", write: writeRunScripts,
		command: func(dir string) []string { return []string{"s6-svscan", "-c", "1200", dir} },
		stop:    func(p *running) error { return exec.Command("s6-svscanctl", "-t", p.dir).Run() },
	},
	{
		name: "supervisor", program: "supervisord", write: writeSupervisor,
		command: func(dir string) []string { return []string{"supervisord", "-n", "-c", dir + "/supervisord.conf"} },
		stop:    func(p *running) error { return p.process.Signal(syscall.SIGTERM) },
	},
}

// writeRunScripts writes one directory a service. A service without arguments is its
// program itself, without a shell before it: the best case for runit and s6.
func writeRunScripts(dir string, services []service) error {
	for _, s := range services {
		d := filepath.Join(dir, s.name)
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
		var err error
		if len(s.args) == 1 && len(s.env) == 0 {
			err = os.Symlink(s.args[0], filepath.Join(d, "run"))
		} else {
			script := "#!/bin/sh\n"
			for k, v := range s.env {
				script += "export " + k + "='" + v + "'\n"
			}
			err = os.WriteFile(filepath.Join(d, "run"), []byte(script+"exec "+strings.Join(s.args, " ")+"\n"), 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeSupervisor(dir string, services []service) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[supervisord]\nnodaemon=true\nlogfile=%s/supervisord.log\npidfile=%s/pid\nminfds=8192\n", dir, dir)
	for _, s := range services {
		fmt.Fprintf(&b, "[program:%s]\ncommand=%s\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n", s.name, strings.Join(s.args, " "))
		var env []string
		for k, v := range s.env {
			env = append(env, fmt.Sprintf("%s=%q", k, v))
		}
		if len(env) > 0 {
			fmt.Fprintf(&b, "environment=%s\n", strings.Join(env, ","))
		}
	}
	return os.WriteFile(filepath.Join(dir, "supervisord.conf"), []byte(b.String()), 0o644)
}

// launch writes the services and starts the supervisor on them. env is what its
// services inherit.
func (p *peer) launch(dir string, services []service, env ...string) (*running, error) {
	if _, err := exec.LookPath(p.program); err != nil {
		return nil, fmt.Errorf("%s is not installed (apt-get install %s)", p.program, p.name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := p.write(dir, services); err != nil {
		return nil, fmt.Errorf("cannot write the services of %s: %w", p.name, err)
	}
	argv := p.command(dir)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.program, err)
	}
	return &running{name: p.name, dir: dir, process: cmd.Process, start: began}, nil
}

// end stops the services and the supervisor, and leaves no process behind.
func (p *peer) end(r *running) {
	left := family(r.process.Pid)
	_ = p.stop(r) // what does not hear it is killed below
	end(r.process, syscall.SIGCONT, 20*time.Second)
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range left {
		for comm(pid) != "" && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if comm(pid) != "" {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

// ours is an agent on a directory of its own.
type ours struct {
	running
	services string // its services directory
	keeper   int    // its pid
	client   *api.Client
	events   *api.Events
}

// hcl writes a service as one file of one app.
func (s service) file() string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %q {\n%s\n  app \"main\" {\n    command = [", s.name, s.more)
	for i, a := range s.args {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", a)
	}
	b.WriteString("]\n")
	if len(s.env) > 0 {
		b.WriteString("    env = {\n")
		for k, v := range s.env {
			fmt.Fprintf(&b, "      %s = %q\n", k, v)
		}
		b.WriteString("    }\n")
	}
	b.WriteString(s.hcl + "\n  }\n}\n")
	return b.String()
}

// replace writes a file and renames it over the one before, as editors and
// configuration management do.
func (o *ours) replace(s service) error {
	path := filepath.Join(o.services, s.name+".hcl")
	tmp := filepath.Join(o.dir, "new.hcl")
	if err := os.WriteFile(tmp, []byte(s.file()), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// launch starts an agent on services and returns once its API answers.
func launchOurs(binary, dir string, services []service) (*ours, error) {
	o := &ours{running: running{name: us, dir: dir}, services: filepath.Join(dir, "etc", "services")}
	if err := os.MkdirAll(o.services, 0o755); err != nil {
		return nil, err
	}
	for _, s := range services {
		if err := os.WriteFile(filepath.Join(o.services, s.name+".hcl"), []byte(s.file()), 0o644); err != nil {
			return nil, err
		}
	}
	return o, o.run(binary)
}

func (o *ours) run(binary string) error {
	// As on a host: what is written often lies apart from what is declared.
	config := filepath.Join(o.dir, "etc", "agent.hcl")
	text := "node { name = \"bench\" }\nservices { dir = \"services\" }\nstate {\n  dir = \"../state\"\n  run = \"../run\"\n}\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(o.dir, "agent.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, "agent", "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	o.start = time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the agent: %w", err)
	}
	o.process = cmd.Process
	if o.client, err = api.Dial("unix://" + filepath.Join(o.dir, "run", "agent.sock")); err != nil {
		return err
	}
	err = wait(10*time.Second, 2*time.Millisecond, "the agent's API", func() bool {
		_, err := os.Stat(filepath.Join(o.dir, "run", "agent.sock"))
		return err == nil
	})
	for _, pid := range family(o.process.Pid) {
		if pid != o.process.Pid {
			o.keeper = pid
		}
	}
	if err == nil {
		o.events, err = o.client.Events(context.Background(), api.EventOptions{Follow: true})
	}
	if err != nil {
		o.end()
		return fmt.Errorf("%w; the agent says: %s", err, o.lastWords())
	}
	return nil
}

// until reads events until one is as wanted.
func (o *ours) until(within time.Duration, wanted func(api.Event) bool) (api.Event, error) {
	limit := time.AfterFunc(within, o.events.Close)
	defer limit.Stop()
	for {
		e, err := o.events.Next()
		if err != nil && !api.Missed(err) {
			return e, fmt.Errorf("the awaited event did not come within %s: %w", within, err)
		}
		if err == nil && wanted(e) {
			return e, nil
		}
	}
}

// fromHere forgets the events until now.
func (o *ours) fromHere() (err error) {
	o.events.Close()
	o.events, err = o.client.Events(context.Background(), api.EventOptions{Follow: true})
	return err
}

// settled waits until every service is in a state.
func (o *ours) settled(within time.Duration, services int, state engine.InstanceState) error {
	last := ""
	err := wait(within, 5*time.Millisecond, "every service "+string(state), func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		st, err := o.client.Status(ctx)
		if err != nil {
			last = err.Error()
			return false
		}
		for _, s := range st.Services {
			if s.State != state {
				last = s.Name + " is " + string(s.State) + " " + s.Why
				return false
			}
		}
		last = fmt.Sprintf("%d services: %s", len(st.Services), st.Cluster.Spec.Message)
		return len(st.Services) == services
	})
	if err != nil {
		return fmt.Errorf("%w (%s)", err, last)
	}
	return nil
}

func (o *ours) command(verb engine.CommandVerb, names []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return o.client.Command(ctx, verb, api.CommandBody{Services: names})
}

// end stops every service, the agent and the keeper.
func (o *ours) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if st, err := o.client.Status(ctx); err == nil {
		names := make([]string, 0, len(st.Services))
		for _, s := range st.Services {
			names = append(names, s.FullName())
		}
		if err := o.command(engine.CommandStop, names); err == nil || errors.Is(err, api.ErrNoAgent) {
			_ = o.settled(20*time.Second, len(names), engine.InstanceDown)
		}
	}
	if o.events != nil {
		o.events.Close()
	}
	o.client.Close()
	end(o.process, syscall.SIGTERM, 10*time.Second)
	if err := o.keeperEnds(); err != nil { // it stays for an exit that nobody asked about
		_ = syscall.Kill(o.keeper, syscall.SIGKILL)
	}
}

// removeGroups removes the empty control groups that a killed keeper left behind. One
// that is not empty stays: the kernel refuses.
func (b *bench) removeGroups() {
	mark := strings.ReplaceAll(filepath.Base(b.dir), "-", `\x2d`)
	for _, mount := range []string{"/sys/fs/cgroup/svcctl", "/sys/fs/cgroup/*/svcctl"} {
		keepers, _ := filepath.Glob(mount + "/*")
		for _, k := range keepers {
			if !strings.Contains(k, mark) {
				continue
			}
			below, _ := os.ReadDir(k)
			for _, g := range below {
				_ = syscall.Rmdir(filepath.Join(k, g.Name()))
			}
			_ = syscall.Rmdir(k)
		}
	}
}

// keeperEnds waits until the keeper has found that nobody needs it: its control
// groups go with it.
func (o *ours) keeperEnds() error {
	if o.keeper == 0 {
		return nil
	}
	return wait(20*time.Second, 50*time.Millisecond, "the end of the keeper, which nobody needs any more,", func() bool {
		f := statOf(o.keeper)
		return len(f) == 0 || f[0] == "Z"
	})
}

// lastWords is the end of the agent's log, for an error.
func (o *ours) lastWords() string {
	text, err := os.ReadFile(filepath.Join(o.dir, "agent.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

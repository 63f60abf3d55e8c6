package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/internal/testengine"
)

const containerSamples = 25

// containers measures from kill -9 of a container's main process to the first
// instruction of its next one: ours, a bare client that asks for nothing but the start
// as soon as it hears of the death, Docker's own restart policy, and a unit of systemd
// that starts it. All run at the same time in one engine, and take turns.
func (b *bench) containers() {
	r := &row{section: "container", what: "kill -9 in a Docker container to the new process", unit: "ms",
		target: "≤ 1.2 × docker start alone", values: map[string]samples{}}
	ours, bare, policy, unit, err := b.containerRestarts()
	if err != nil {
		b.report.missing("container", err)
		return
	}
	r.values[us] = ours
	r.note = fmt.Sprintf("a bare client that calls start at once: %s ms, so that ours takes %s of it; Docker's restart policy always: %s ms [×%s]; "+
		"a unit of systemd with `docker start -a`, Restart=always and RestartSec=0: %s ms [×%s]",
		bare, short(ours.median()/bare.median()), policy, short(policy.median()/ours.median()), unit, short(unit.median()/ours.median()))
	r.below(1.2 * bare.median())
	b.report.add(r)
	fmt.Println("             " + r.note)
}

func (b *bench) containerRestarts() (ours, bare, policy, unit samples, err error) {
	e, err := testengine.Start("docker", testengine.Options{})
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer e.End()
	dir := b.folder("stamps")
	st, err := newStamps(dir)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer st.close()
	if out, err := exec.Command("cp", b.stamper, filepath.Join(dir, "stamper")).CombinedOutput(); err != nil {
		return nil, nil, nil, nil, fmt.Errorf("cannot copy the stamper: %w: %s", err, out)
	}
	stopBare, err := bareRestarter(e)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer stopBare()
	for name, restart := range map[string]string{"bare": "no", "policy": "always", "unit": "no"} {
		body := fmt.Sprintf(`{"Image":%q,"Entrypoint":["/bench/stamper"],"Env":["STAMP_TO=/bench/stamps"],"HostConfig":{"Binds":["%s:/bench"],"RestartPolicy":{"Name":%q}}}`, testengine.Image, dir, restart)
		if _, err := e.Do("POST", "/v1.41/containers/create?name="+name, strings.NewReader(body)); err != nil {
			return nil, nil, nil, nil, err
		}
		if name == "unit" {
			continue // systemd starts it
		}
		if _, err := e.Do("POST", "/v1.41/containers/"+name+"/start", nil); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	endUnit, err := b.unitOfSystemd(e)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer endUnit()
	o, err := b.ourContainer(e, dir)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer o.end()
	for range 4 {
		if _, err := st.next(20 * time.Second); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	into := map[string]*samples{"svcctl-bench": &ours, "bare": &bare, "policy": &policy, "unit": &unit}
	for range containerSamples {
		for _, name := range []string{"svcctl-bench", "bare", "policy", "unit"} {
			// Docker doubles its delay for what ran less than ten seconds, so that it is
			// measured in its first rounds only.
			if name == "policy" && len(policy) >= 3 {
				continue
			}
			took, err := deathToLife(e, st, name)
			if err != nil {
				return nil, nil, nil, nil, fmt.Errorf("%s: %w", name, err)
			}
			*into[name] = append(*into[name], took)
		}
	}
	return ours, bare, policy, unit, nil
}

func deathToLife(e *testengine.Engine, st *stamps, name string) (float64, error) {
	var c testengine.Container
	err := wait(20*time.Second, 20*time.Millisecond, "the container to run", func() bool {
		var err error
		c, err = e.Inspect(name)
		return err == nil && c.State.Running && c.State.Pid > 1
	})
	if err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond) // let everything come to rest
	killed := monotonic()
	if err := syscall.Kill(c.State.Pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("cannot kill %d: %w", c.State.Pid, err)
	}
	s, err := st.next(20 * time.Second)
	return float64(s.at-killed) / 1e6, err
}

// ourContainer runs an agent whose only service is a container. Its restarts are many,
// and none of them is a fault: it waits before none.
func (b *bench) ourContainer(e *testengine.Engine, dir string) (*ours, error) {
	home := b.folder("container")
	services := filepath.Join(home, "etc", "services")
	if err := os.MkdirAll(services, 0o755); err != nil {
		return nil, err
	}
	file := fmt.Sprintf("service \"c\" {\n  container \"main\" {\n    engine = \"unix://%s\"\n    image = %q\n    pull = \"never\"\n    name = \"svcctl-bench\"\n    entrypoint = [\"/bench/stamper\"]\n    env = { STAMP_TO = \"/bench/stamps\" }\n    volumes = [\"%s:/bench\"]\n    kill_after = \"1s\"\n    restart {\n      backoff = \"0s\"\n    }\n  }\n}\n", e.Socket, testengine.Image, dir)
	if err := os.WriteFile(filepath.Join(services, "c.hcl"), []byte(file), 0o644); err != nil {
		return nil, err
	}
	o := &ours{running: running{name: us, dir: home}, services: services}
	return o, o.run(b.svcctl)
}

// bareRestarter starts the container called bare again whenever it dies.
func bareRestarter(e *testengine.Engine) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", e.Socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, `http://e/v1.41/events?filters={"event":["die"],"container":["bare"]}`, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	r.URL.RawQuery = r.URL.Query().Encode()
	answer, err := c.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer answer.Body.Close()
		for d := json.NewDecoder(answer.Body); ; {
			var event struct{ Action string }
			if d.Decode(&event) != nil {
				return
			}
			if s, err := c.Post("http://e/v1.41/containers/bare/start", "", nil); err == nil {
				s.Body.Close()
			}
		}
	}()
	return func() { cancel(); <-ended }, nil
}

package container

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/testengine"
)

// onBoth runs a test on Docker and on Podman.
func onBoth(t *testing.T, test func(t *testing.T, e *testengine.Engine)) {
	for _, kind := range []string{"docker", "podman"} {
		t.Run(kind, func(t *testing.T) { test(t, engineOf(t, kind)) })
	}
}

func TestACrashIsToldWithItsExitAndHealedInTheSameContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		c.Ports = []string{"127.0.0.1:8080:80"}
		d := up(t, c)
		told := watching(t, d)
		before, err := e.Inspect(c.Name)
		must(t, err)
		get(t, e, "8080", "/write?file=/tmp/kept&text=still")
		kill(t, before.State.Pid)
		st := await(t, told, "the death", isState(drivers.Down))
		if st.Exit == nil || st.Exit.Signal != "SIGKILL" {
			t.Errorf("it was told as %+v", st)
		}
		if id := d.crashed(d.digest(c)); id != before.ID {
			t.Errorf("the next start is not the single call: %q", id)
		}
		must(t, d.Start(within(t)))
		after, err := e.Inspect(c.Name)
		must(t, err)
		if after.ID != before.ID || after.State.Pid == before.State.Pid {
			t.Errorf("it was %+v, is %+v", before, after)
		}
		if got := get(t, e, "8080", "/read?file=/tmp/kept"); got != "still" {
			t.Errorf("the writable layer says %q", got)
		}
		expect(t, d, drivers.Up, "")
	})
}

func TestAContainerRemovedByHandIsToldAndMadeAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		d := up(t, c)
		told := watching(t, d)
		_, err := e.Do("DELETE", "/v1.41/containers/"+c.Name+"?force=1", nil)
		must(t, err)
		await(t, told, "the removal", func(s drivers.Status) bool { return strings.Contains(s.Detail, "removed by hand") })
		expect(t, d, drivers.Down, "")
		must(t, d.Start(within(t)))
		expect(t, d, drivers.Up, "")
	})
}

func TestAPausedContainerIsBegunAndAStartCompletesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		d := up(t, c)
		told := watching(t, d)
		pid := expect(t, d, drivers.Up, "").PID
		_, err := e.Do("POST", "/v1.41/containers/"+c.Name+"/pause", nil)
		must(t, err)
		await(t, told, "the pause", isState(drivers.Begun))
		expect(t, d, drivers.Begun, "paused")
		must(t, d.Start(within(t)))
		if got := expect(t, d, drivers.Up, "").PID; got != pid {
			t.Errorf("another process runs: %d, before %d", got, pid)
		}
		_, err = e.Do("POST", "/v1.41/containers/"+c.Name+"/pause", nil)
		must(t, err)
		must(t, d.Stop(within(t))) // a frozen one is stopped too
		expect(t, d, drivers.Down, "")
	})
}

func TestARenamedContainerIsStillOurs(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		d := up(t, c)
		_, err := e.Do("POST", "/v1.41/containers/"+c.Name+"/rename?name=other", nil)
		must(t, err)
		expect(t, d, drivers.Up, "renamed to other")
		expect(t, open(t, c), drivers.Up, "renamed to other")
		must(t, open(t, c).Stop(within(t)))
		if _, err := e.Inspect("other"); err == nil {
			t.Error("it is still there")
		}
	})
}

func TestAForeignContainerOfThatNameIsNotTouched(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		_, err := e.Do("POST", "/v1.41/containers/create?name="+c.Name, strings.NewReader(`{"Image":"`+testengine.Image+`"}`))
		must(t, err)
		defer func() {
			_, err := e.Do("DELETE", "/v1.41/containers/"+c.Name+"?force=1", nil)
			must(t, err)
		}()
		d := open(t, c)
		expectError(t, d.Start(within(t)), "has that name and was not made by svcctl", "set name")
		must(t, d.Stop(within(t)))
		if _, err := e.Inspect(c.Name); err != nil {
			t.Errorf("it is gone: %v", err)
		}
	})
}

func TestOneThatIsNotInAllItsNetworksYetIsNotStarted(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		network := func(name string) {
			t.Helper()
			_, err := e.Do("POST", "/v1.41/networks/create", strings.NewReader(`{"Name":"`+name+`","Internal":true}`))
			must(t, err)
			t.Cleanup(func() {
				_, err := e.Do("DELETE", "/v1.41/networks/"+name, nil)
				must(t, err)
			})
		}
		network("front")
		c := plain(e)
		c.Networks = []string{"front", "back"}
		t.Cleanup(func() { must(t, open(t, c).Stop(within(t))) })
		for range 2 { // the container is made by the first, and found by the second
			expectError(t, open(t, c).Start(within(t)), "container svcctl-web-main", "back", "docker network create")
			expect(t, open(t, c), drivers.Down, "")
		}
		must(t, open(t, c).Stop(within(t)))
		network("back")
		t.Cleanup(func() { must(t, open(t, c).Stop(within(t))) }) // before the networks go
		d := open(t, c)
		half, err := request(d.opening, c, "") // as by an agent that ended behind the first call
		must(t, err)
		_, err = d.socket.client.ContainerCreate(within(t), half)
		must(t, err)
		must(t, d.Start(within(t)))
		is, err := d.find(within(t), c)
		must(t, err)
		if in := is.NetworkSettings.Networks; len(in) != 2 || in["front"] == nil || in["back"] == nil {
			t.Errorf("it is in %v", in)
		}
	})
}

func TestADeathForWantOfMemorySaysSo(t *testing.T) {
	e := engineOf(t, "docker")
	c := plain(e)
	c.Memory, c.Env = 16<<20, map[string]string{"PROBE_EAT": "yes"}
	d := open(t, c)
	t.Cleanup(func() { must(t, d.Stop(within(t))) })
	told := watching(t, d)
	for tries := 1; ; tries++ { // the engine hears of the cause beside the end, and may miss it
		must(t, d.Start(within(t)))
		st := await(t, told, "the end", func(s drivers.Status) bool { return s.Exit != nil })
		if st.Exit.Signal != "SIGKILL" {
			t.Fatalf("it was told as %+v", st)
		}
		if strings.Contains(st.Detail, "memory limit") {
			break
		}
		if tries == 5 {
			t.Fatalf("%d times it was told as %+v", tries, st)
		}
		must(t, d.Stop(within(t)))
		await(t, told, "the stop", func(s drivers.Status) bool { return s.Exit == nil })
	}
	expect(t, open(t, c), drivers.Down, "memory limit")
}

func TestOneThatHangsOnTERMIsKilledInTime(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		c.Env = map[string]string{"PROBE_HANG": "yes"}
		d := up(t, c)
		pid := expect(t, d, drivers.Up, "").PID
		must(t, d.Stop(within(t)))
		if startOf(pid) != "" {
			t.Errorf("process %d is still there", pid)
		}
	})
}

func TestAnotherConfigurationOrImageMakesAnotherContainer(t *testing.T) {
	e := engineOf(t, "docker")
	c := plain(e)
	c.Remove = false
	must(t, e.Import("moving:1"))
	c.Image = "moving:1"
	d := up(t, c)
	t.Cleanup(func() { c := *c; c.Remove = true; must(t, open(t, &c).Stop(within(t))) })
	first, err := e.Inspect(c.Name)
	must(t, err)
	must(t, d.Stop(within(t)))
	must(t, d.Start(within(t)))
	if again, err := e.Inspect(c.Name); err != nil || again.ID != first.ID {
		t.Errorf("remove = false, but it is another: %v", err)
	}
	must(t, d.Stop(within(t)))
	must(t, e.Import("moving:1"))
	must(t, d.Start(within(t)))
	moved, err := e.Inspect(c.Name)
	must(t, err)
	if moved.ID == first.ID || moved.Image == first.Image {
		t.Errorf("the image has moved, and it is the same container: %+v", moved)
	}
	edited := *c
	edited.Env = map[string]string{"A": "b"}
	expect(t, open(t, &edited), drivers.Failed, "another configuration")
	must(t, open(t, &edited).Start(within(t)))
	if is, err := e.Inspect(c.Name); err != nil || is.ID == moved.ID {
		t.Errorf("the configuration has changed, and it is the same container: %v", err)
	}
}

func TestWhatIsMissingOrTakenIsNamedWithItsCure(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		try := func(edit func(*Config), parts ...string) {
			t.Helper()
			c := plain(e)
			edit(c)
			d := open(t, c)
			expectError(t, d.Start(within(t)), parts...)
			must(t, d.Stop(within(t)))
			expect(t, d, drivers.Down, "")
		}
		try(func(c *Config) { c.Image = "nobody-has-this:1" }, "image nobody-has-this:1 is not there", "docker pull")
		try(func(c *Config) { c.Image, c.Pull = "127.0.0.1:1/nobody:1", "missing" }, "cannot pull image 127.0.0.1:1/nobody:1", "registry")
		try(func(c *Config) { c.Volumes = []string{"/not/there:/data"} }, "cannot", "/not/there", "is its mount up")
		try(func(c *Config) { c.Command, c.Entrypoint = nil, []string{"/no-such-program"} }, "cannot start container", "not in the image")
		try(func(c *Config) { c.Network = "no-such-network" }, "cannot", "no-such-network")
		if e.Kind == "docker" {
			try(func(c *Config) { c.Ports = []string{"10.99.99.99:80:80"} }, "10.99.99.99", "is its ip up")
		}
		_, err := e.Do("POST", "/v1.41/containers/create?name=holder", strings.NewReader(`{"Image":"`+testengine.Image+
			`","ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8081"}]}}}`))
		must(t, err)
		defer func() {
			_, err := e.Do("DELETE", "/v1.41/containers/holder?force=1", nil)
			must(t, err)
		}()
		_, err = e.Do("POST", "/v1.41/containers/holder/start", nil)
		must(t, err)
		try(func(c *Config) { c.Ports = []string{"127.0.0.1:8081:80"} }, "cannot start container", "8081", "ss -ltnp")
	})
}

func TestLimitsAreChangedWhileItRuns(t *testing.T) {
	e := engineOf(t, "docker")
	c := plain(e)
	c.Memory = 64 << 20
	d := up(t, c)
	pid := expect(t, d, drivers.Up, "").PID
	next := *c
	next.Memory, next.PIDs = 128<<20, 50
	must(t, d.Update(within(t), &next))
	is, err := e.Inspect(c.Name)
	must(t, err)
	if is.HostConfig.Memory != 128<<20 || is.State.Pid != pid {
		t.Errorf("it is now %+v", is)
	}
	expect(t, open(t, &next), drivers.Up, "")
	adopted := open(t, c) // the older limits are declared again, while no agent runs
	expect(t, adopted, drivers.Begun, "another memory limit")
	must(t, adopted.Start(within(t)))
	expect(t, adopted, drivers.Up, "")
}

func TestPodmanSaysThatItCannotChangeLimits(t *testing.T) {
	e := engineOf(t, "podman")
	c := plain(e)
	d := up(t, c)
	next := *c
	next.Memory = 128 << 20
	if err := d.Update(within(t), &next); err != nil { // newer ones can
		expectError(t, err, "cannot change the limits", "restart it")
	}
}

func TestHealthDecidesAboutReadyAndUp(t *testing.T) {
	e := engineOf(t, "docker")
	c := plain(e)
	c.Ports = []string{"127.0.0.1:8080:80"}
	c.Ready = "healthy"
	c.Healthcheck = &Healthcheck{Command: []string{"/probe", "check"}, Every: 100 * time.Millisecond, Timeout: patience, Retries: 1}
	d := up(t, c)
	told := watching(t, d)
	expect(t, d, drivers.Up, "")
	get(t, e, "8080", "/sick")
	await(t, told, "the illness", func(s drivers.Status) bool {
		return s.State == drivers.Failed && strings.Contains(s.Detail, "unhealthy")
	})
	expect(t, d, drivers.Failed, "not well")
	reported := *c
	reported.Unhealthy = "report"
	expect(t, open(t, &reported), drivers.Up, "unhealthy")
	must(t, d.Stop(within(t)))
	c.Env = map[string]string{"PROBE_SICK": "yes"}
	expectError(t, open(t, c).Start(within(t)), "unhealthy", "not well")
	must(t, d.Stop(within(t)))
	none := plain(e)
	none.Ready = "healthy"
	expectError(t, open(t, none).Start(within(t)), "nothing says when it is healthy")
}

func TestCredentialsAreFilesInMemoryThatLeaveWithTheContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		c.Ports = []string{"127.0.0.1:8080:80"}
		c.User = "web"
		c.Credentials = map[string]string{"key": "MARK"}
		c.Env = map[string]string{"WORD": "MARK"}
		d := open(t, c)
		t.Cleanup(func() { must(t, d.Stop(within(t))) })
		d.opening.Reveal = func(text string) (string, error) { return strings.ReplaceAll(text, "MARK", "the value"), nil }
		c.Ports[0], c.Env["PROBE_LISTEN"] = "127.0.0.1:8080:8000", ":8000" // web may not listen below 1024
		must(t, d.Start(within(t)))
		dir := get(t, e, "8080", "/env?name=CREDENTIALS_DIRECTORY")
		if got := get(t, e, "8080", "/read?file="+dir+"/key"); got != "the value" {
			t.Errorf("the file says %q", got)
		}
		if got := get(t, e, "8080", "/env?name=WORD"); got != "the value" {
			t.Errorf("the variable says %q", got)
		}
		if got := get(t, e, "8080", "/write?file="+dir+"/key&text=x"); !strings.Contains(got, "read-only") && !strings.Contains(got, "denied") {
			t.Errorf("it could be written: %q", got)
		}
		if fi, err := os.Stat(d.credentialsDir()); err != nil || fi.Mode().Perm() != 0o700 || !mounted(d.credentialsDir()) {
			t.Errorf("on the host: %v %v", fi, err)
		}
		must(t, d.Stop(within(t)))
		if entries, _ := os.ReadDir(filepath.Dir(d.credentialsDir())); len(entries) != 0 {
			t.Errorf("left: %v", entries)
		}
	})
}

func TestLogsComeFromTheEngineAndAreFollowedOverARestart(t *testing.T) {
	onBoth(t, func(t *testing.T, e *testengine.Engine) {
		c := plain(e)
		d := up(t, c)
		until(t, "both lines are there", func() string {
			var lines []string
			for line, err := range d.Logs(within(t), 10, false) {
				must(t, err)
				lines = append(lines, line)
			}
			slices.Sort(lines)
			if got := strings.Join(lines, "|"); got != "probe begins|probe complains" {
				return got
			}
			return ""
		})
		ctx, cancel := context.WithTimeout(within(t), patience)
		defer cancel()
		lines := make(chan string, 100)
		go func() {
			defer close(lines)
			for line, err := range d.Logs(ctx, 10, true) {
				if err != nil {
					line = err.Error()
				}
				lines <- line
			}
		}()
		var got []string
		for line := range lines {
			got = append(got, line)
			if len(got) == 2 { // the past is told: now a restart
				is, err := e.Inspect(c.Name)
				must(t, err)
				kill(t, is.State.Pid)
				until(t, "it has ended", func() string {
					if st, _ := d.Status(within(t)); st.State != drivers.Down {
						return string(st.State)
					}
					return ""
				})
				must(t, d.Start(within(t)))
			}
			if len(got) == 4 {
				cancel()
			}
		}
		slices.Sort(got)
		if all := strings.Join(got, "|"); all != "probe begins|probe begins|probe complains|probe complains" {
			t.Errorf("lines: %s", all)
		}
	})
}

func TestAHungEngineDelaysNothingAndItsContainersAreNotTakenForLost(t *testing.T) {
	e := engineOf(t, "docker")
	c := plain(e)
	d := up(t, c)
	pid := expect(t, d, drivers.Up, "").PID
	other := open(t, c)
	d.socket.lookFor, other.socket.lookFor = 300*time.Millisecond, 300*time.Millisecond
	must(t, e.Signal(syscall.SIGSTOP))
	defer func() { _ = e.Signal(syscall.SIGCONT) }()
	if st := expect(t, d, drivers.Up, "does not answer"); st.PID != pid {
		t.Errorf("its process is %d, not %d", st.PID, pid)
	}
	if _, err := other.Status(within(t)); err == nil || !strings.Contains(err.Error(), "does not answer (does it run?)") {
		t.Errorf("another agent says: %v", err)
	}
	asked := within(t)
	for _, err := range d.Logs(asked, 10, false) {
		expectError(t, err, "cannot read the log of container", "does not answer")
	}
	if asked.Err() != nil {
		t.Error("its log is waited for without a bound")
	}
	bounded, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	expectError(t, d.Stop(bounded), "does not answer")
	must(t, d.Kill(within(t)))
	must(t, e.Signal(syscall.SIGCONT))
	until(t, "the engine has noticed", func() string {
		if st, err := d.Status(within(t)); err != nil || st.State != drivers.Down {
			return string(st.State)
		}
		return ""
	})
}

func TestWithoutAnyEngineTheErrorNamesBothSockets(t *testing.T) {
	for _, path := range []string{dockerSocket, podmanSocket} {
		if exists(path) {
			t.Log("there is an engine at " + path + ", so that nothing can be said of none")
			return
		}
	}
	_, err := (&host{}).socketFor("", "n1")
	expectError(t, err, dockerSocket, podmanSocket, "systemctl enable")
	s, err := (&host{}).socketFor("docker", "n1")
	must(t, err)
	_, err = s.client.Ping(context.Background(), client.PingOptions{})
	expectError(t, s.silent(err), "the Docker Engine at /run/docker.sock does not answer (systemctl status docker)")
}

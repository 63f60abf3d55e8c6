package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wanted is what the last command of each block of the tutorial prints sooner or later.
var wanted = []string{
	`SV0209`, `wave 2`, `check fresh \(exec\) up`, `(?s)SIGKILL.*hello up`, `(?s)fresh down.*fresh up`,
	`(?s)clock +up.*reader +up`, `SV0101`, `^SERVICE.*\nhello +up`, `hello  up`, `stopped by`,
}

var pause = regexp.MustCompile(`(?m)^sleep \d+\n`)

// breaking is how many blocks it takes until the clock was broken for the last time.
const breaking = 5

const patience = 2 * time.Minute // only a hang gets there

// Each block of the tutorial is run as it stands, and its last command again until it
// says what the page says.
func TestTheTutorialDoesWhatItSays(t *testing.T) {
	bin, place := buildPrograms(t), shortDir(t)
	_, page, found := strings.Cut(readPage(t, "README.md"), "## Five minutes")
	if !found {
		t.Fatal("README.md has no tutorial")
	}
	r := &reader{t: t, place: place, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SVCCTL_SERVER=unix://"+place+"/run/agent.sock")}
	t.Cleanup(r.leave)
	want, clock := wanted, ""
	for _, b := range fencedBlocks(page) {
		text := strings.ReplaceAll(b.text, "/tmp/svcctl-try", place)
		text = pause.ReplaceAllString(text, "") // a person waits; this reader asks again
		switch b.words {
		case "sh agent":
			r.startAgent(text)
		case "sh":
			if len(want) == 0 {
				t.Fatalf("nothing is known of this block; add to wanted what it prints:\n%s", b.text)
			}
			r.do(text, want[0])
			if want = want[1:]; len(want) == len(wanted)-breaking {
				clock = r.clock()
			}
		}
	}
	if now := r.clock(); now != clock {
		t.Errorf("an edit of the reader, a broken file and a new agent gave the clock a new process: %s, then %s", clock, now)
	}
	if len(want) > 0 {
		t.Errorf("the tutorial ended before %q", want)
	}
}

func (r *reader) clock() string {
	r.t.Helper()
	pid, err := os.ReadFile(filepath.Join(r.place, "clock.pid"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(pid))
}

// shortDir is a folder for sockets, whose paths have a limit.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "svcctl-try")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

type reader struct {
	t     *testing.T
	place string
	env   []string
	agent *exec.Cmd
	log   *os.File
}

// run runs shell text; its output goes over a file, so that nobody waits for what stays.
func (r *reader) run(text string) (string, error) {
	r.t.Helper()
	out, err := os.CreateTemp(r.t.TempDir(), "out")
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command("bash", "-eu", "-o", "pipefail", "-c", text)
	c.Env, c.Stdout, c.Stderr = r.env, out, out
	failed := c.Run()
	said, err := os.ReadFile(out.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(said), failed
}

func (r *reader) do(text, want string) {
	r.t.Helper()
	said, err := r.run(text)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := lines[len(lines)-1]
	says := regexp.MustCompile(want)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); err != nil || !says.MatchString(said); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("%s\nnever said %q; error %v, output\n%s", text, want, err, said)
		}
		said, err = r.run(last)
	}
	r.t.Logf("$ %s\n%s", last, said)
}

// startAgent is the second terminal: Ctrl-C for the agent that is there, and the next one.
func (r *reader) startAgent(text string) {
	r.t.Helper()
	r.endAgent()
	log, err := os.CreateTemp(r.t.TempDir(), "agent")
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = log
	r.agent = exec.Command("bash", "-c", "exec "+text)
	r.agent.Env, r.agent.Stdout, r.agent.Stderr = r.env, log, log
	if err := r.agent.Start(); err != nil {
		r.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		if _, err := r.run("svcctl status"); err == nil {
			return
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log.Name()) // what there is of it is worth showing
			r.t.Fatalf("the agent does not answer:\n%s", said)
		}
	}
}

func (r *reader) endAgent() {
	if r.agent == nil {
		return
	}
	agent := r.agent
	r.agent = nil
	defer r.log.Close()
	if err := agent.Process.Signal(os.Interrupt); err != nil {
		r.t.Errorf("the agent was gone: %v", err)
	}
	if err := agent.Wait(); err != nil {
		said, _ := os.ReadFile(r.log.Name()) // what there is of it is worth showing
		r.t.Errorf("the agent ended with %v:\n%s", err, said)
	}
}

// leave ends whatever was started under the tutorial's folder.
func (r *reader) leave() {
	if r.agent != nil {
		if out, err := r.run("svcctl stop --all"); err != nil {
			r.t.Errorf("svcctl stop --all: %v\n%s", err, out)
		}
		r.endAgent()
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		left := processesOf(r.t, r.place)
		if len(left) == 0 {
			removeGroups(r.place)
			return
		}
		if time.Now().After(end) {
			r.t.Errorf("these processes do not end: %v", left)
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// removeGroups removes the empty control groups that a killed keeper left.
func removeGroups(place string) {
	name := strings.ReplaceAll(strings.Trim(place, "/"), "-", "?x2d") // as the keeper writes it, the backslash as any character
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/svcctl/" + strings.ReplaceAll(name, "/", "-") + "-run")
	for _, g := range groups {
		below, _ := filepath.Glob(filepath.Join(strings.ReplaceAll(g, `\`, "?"), "*"))
		for _, b := range below {
			_ = os.Remove(b) // a file of the group can't be removed, and need not
		}
		_ = os.Remove(g)
	}
}

// processesOf lists the processes whose command line names a folder.
func processesOf(t *testing.T, folder string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(line, []byte(folder)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

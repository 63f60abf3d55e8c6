package container

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
)

func TestWhatCannotBeIsAProblemOfItsArgument(t *testing.T) {
	for field, c := range map[string]*Config{
		"engine":      {Image: "i", Engine: "lxc"},
		"image":       {},
		"name":        {Image: "i", Name: "/x"},
		"command":     {Image: "i", Command: []string{}},
		"env":         {Image: "i", Env: map[string]string{"A=B": ""}},
		"credentials": {Image: "i", Credentials: map[string]string{"../x": ""}},
		"ports":       {Image: "i", Ports: []string{"8080:99999"}},
		"volumes":     {Image: "i", Volumes: []string{"relative/path:/x"}},
		"networks":    {Image: "i", Network: "a", Networks: []string{"b"}},
		"memory":      {Image: "i", Memory: 1000},
		"ulimits":     {Image: "i", Ulimits: map[string]string{"nofile": "2:1"}},
		"devices":     {Image: "i", Devices: []string{"sda"}},
		"dns":         {Image: "i", DNS: []string{"localhost"}},
	} {
		var fields []string
		for _, p := range c.Validate() {
			fields = append(fields, p.Field)
		}
		if !slices.Equal(fields, []string{field}) {
			t.Errorf("%+v: problems of %v, want one of %s", c, fields, field)
		}
	}
}

func TestPortsAndVolumesAreReadAsDockerRunReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"80": "80/tcp <- :", "8080:80/udp": "80/udp <- :8080", "127.0.0.1:8080:80": "80/tcp <- 127.0.0.1:8080", "[::1]:8080:80": "80/tcp <- ::1:8080",
	} {
		p, err := parsePort(text)
		host := ""
		if p.binding.HostIP.IsValid() {
			host = p.binding.HostIP.String()
		}
		if got := p.inside.String() + " <- " + host + ":" + p.binding.HostPort; err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	m, err := parseVolume("/srv/x/:/data:ro,rslave")
	if err != nil || m.Source != "/srv/x" || !m.ReadOnly || m.BindOptions.Propagation != "rslave" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestOnlyWhatMakesAnotherContainerIsInItsDigest(t *testing.T) {
	c := Config{Image: "a"}
	first := c.digest()
	live := c
	live.Memory, live.KillAfter, live.Pull, live.Remove = 1, 2, "always", true
	if live.digest() != first {
		t.Error("a live argument changes the digest")
	}
	other := c
	other.Env = map[string]string{"A": "b"}
	if other.digest() == first {
		t.Error("the environment is not in the digest")
	}
}

func TestWhatIsLeftOpenIsNoted(t *testing.T) {
	open := Config{Image: "i", Privileged: true, Network: "host", Volumes: []string{"/run/docker.sock:/run/docker.sock:ro"}, User: "0:0",
		Env: map[string]string{"P": "\uE0C0db:00\uE0C1"}}
	var fields []string
	for _, p := range open.Notes() {
		fields = append(fields, p.Field)
	}
	if got := strings.Join(fields, " "); got != "privileged volumes network user memory pids env" {
		t.Errorf("notes of: %s", got)
	}
	closed := Config{Image: "i", User: "web", Memory: 1 << 30, PIDs: 10}
	if notes := closed.Notes(); len(notes) != 0 {
		t.Errorf("notes where nothing is open: %v", notes)
	}
}

func TestTheDefaultNameIsThatOfServiceAndBlock(t *testing.T) {
	if got := nameOf(drivers.Opening{Address: "prod/web/container.main"}, &Config{}); got != "svcctl-prod-web-main" {
		t.Error(got)
	}
}

func TestLinesComeWholeFromTheFramesOfBothStreams(t *testing.T) {
	var b bytes.Buffer
	frame := func(stream byte, text string) {
		header := [8]byte{stream}
		binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
		b.Write(header[:])
		b.WriteString(text)
	}
	frame(1, "2026-01-02T03:04:05.000000006Z one ")
	frame(2, "2026-01-02T03:04:05.000000007Z error\r\n")
	frame(1, "line\n2026-01-02T03:04:05.000000008Z cut")
	var lines []string
	var last time.Time
	for line, at := range demultiplex(&b) {
		lines, last = append(lines, line), at
	}
	if got := strings.Join(lines, "|"); got != "error|one line|cut" || last.Nanosecond() != 8 {
		t.Errorf("%q, last at %v", got, last)
	}
	frame(1, "2026-01-02T03:04:05.000000009Z "+strings.Repeat("x", 2*maxLine)+"\nwithout a time\n")
	var when []int
	for _, at := range demultiplex(&b) {
		when = append(when, at.Nanosecond())
	}
	if !slices.Equal(when, []int{9, 9, 9, 0}) {
		t.Errorf("the pieces of a long line, and one without a time, are of %v", when)
	}
}

func TestASecretThatIsNoTextIsRefusedAsAVariable(t *testing.T) {
	for _, value := range []string{"s3cr3t-\xff", "s3cr3t-\x00"} {
		o := drivers.Opening{Address: "web/container.main", Reveal: func(string) (string, error) { return value, nil }}
		_, err := request(o, &Config{Image: "x", Env: map[string]string{"WORD": "MARK"}}, "")
		if err == nil || !strings.Contains(err.Error(), "WORD: its secret is no text") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

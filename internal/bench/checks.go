package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/engine"
)

const checkFor = 20 * time.Second

// late is what may lie between two questions of one check beyond its second: the
// jitter that spreads checks, and a busy machine.
const late = 250 * time.Millisecond

// checks measures what checks cost the agent and whether any is late, as seen by the
// server that is asked.
func (b *bench) checks() {
	for _, c := range []struct {
		kind           string
		services, each int
		limit          float64
	}{{"http", 100, 1, 2}, {"tcp", 100, 10, 8}} {
		n := c.services * c.each
		cost := &row{section: "checks", what: fmt.Sprintf("%d %s checks a second, a new connection each", n, c.kind), unit: "% core",
			target: fmt.Sprintf("≤ %.0f", c.limit), values: map[string]samples{}}
		rate := &row{section: "checks", what: "the same: questions that the server saw", unit: "1/s", values: map[string]samples{}}
		tardy := &row{section: "checks", what: fmt.Sprintf("the same: later than %s", late), unit: "", target: "0", values: map[string]samples{}}
		worst := &row{section: "checks", what: "the same: latest", unit: "ms", values: map[string]samples{}}
		if err := b.checksOf(c.kind, c.services, c.each, cost, rate, tardy, worst); err != nil {
			b.report.missing("checks, "+c.kind, err)
			continue
		}
		cost.below(c.limit)
		tardy.below(0)
		b.report.add(cost, rate, tardy, worst)
	}
}

func (b *bench) checksOf(kind string, services, each int, cost, rate, tardy, worst *row) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.Command(self, "serve")
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer end(server.Process, syscall.SIGTERM, 5*time.Second)
	answers := bufio.NewReader(out)
	port, err := answers.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server that is asked did not start: %w", err)
	}
	o, err := launchOurs(b.svcctl, b.folder(us), checked(b.sleep, kind, services, each, strings.TrimSpace(port)))
	if err != nil {
		return err
	}
	defer o.end()
	if err := o.settled(30*time.Second, services, engine.InstanceUp); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // the first round is spread by then
	own := family(o.process.Pid)
	if _, err := fmt.Fprintln(in, "begin"); err != nil {
		return err
	}
	put(cost, us, share(own, checkFor))
	if _, err := fmt.Fprintln(in, "end"); err != nil {
		return err
	}
	line, err := answers.ReadString('\n')
	if err != nil {
		return err
	}
	f := strings.Fields(line)
	if len(f) != 3 {
		return fmt.Errorf("the server that is asked says %q", line)
	}
	for i, r := range []*row{rate, tardy, worst} {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return err
		}
		put(r, us, v)
	}
	return nil
}

// checked writes services whose checks each ask an address of their own, by which the
// server tells them apart.
func checked(sleep, kind string, services, each int, port string) []service {
	out := make([]service, services)
	for i := range out {
		var b strings.Builder
		for j := range each {
			address := fmt.Sprintf("127.1.%d.%d:%s", i, j+1, port)
			target := fmt.Sprintf("address = %q", address)
			if kind == "http" {
				target = fmt.Sprintf("url = \"http://%s/\"", address)
			}
			fmt.Fprintf(&b, "    check %q \"c%d\" {\n      %s\n      every = \"1s\"\n      on_fall = \"report\"\n    }\n", kind, j, target)
		}
		out[i] = service{name: fmt.Sprintf("c%03d", i), args: []string{sleep, "infinity"}, hcl: b.String()}
	}
	return out
}

// serve is the server that is asked: it answers every connection, whatever it
// speaks, and remembers when each address was asked.
func serve() {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot listen:", err)
		os.Exit(1)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	asked := make(chan question, 1<<16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked <- question{c.LocalAddr().String(), time.Now()}
			go reply(c)
		}
	}()
	var begun time.Time
	last, gaps := map[string]time.Time{}, []time.Duration{}
	orders := make(chan string)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
		close(orders)
	}()
	for {
		select {
		case q := <-asked:
			if before, ok := last[q.address]; ok && !begun.IsZero() {
				gaps = append(gaps, q.at.Sub(before))
			}
			last[q.address] = q.at
		case order, open := <-orders:
			if !open {
				return
			}
			if order == "begin" {
				begun, gaps = time.Now(), nil
				continue
			}
			fmt.Println(verdictOn(gaps, time.Since(begun)))
		}
	}
}

type question struct {
	address string
	at      time.Time
}

func verdictOn(gaps []time.Duration, over time.Duration) string {
	tardy, worst := 0, time.Duration(0)
	for _, g := range gaps {
		worst = max(worst, g-time.Second)
		if g > time.Second+late {
			tardy++
		}
	}
	return fmt.Sprintf("%.1f %d %.1f", float64(len(gaps))/over.Seconds(), tardy, millis(worst))
}

// reply answers HTTP, and lets those who only connect go.
func reply(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	var buf [1024]byte
	if n, err := c.Read(buf[:]); err == nil && n > 0 {
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"))
	}
}

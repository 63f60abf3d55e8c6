package tcp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
)

func TestACheckLooksFromInsideANetworkNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	name := fmt.Sprintf("svctest-tcp-%d", os.Getpid())
	t.Cleanup(func() {
		if err := netns.Remove(name); err != nil {
			t.Error(err)
		}
	})
	if err := netns.Make(name); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	err := netns.Do(netns.Path(name), func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:0"); return err })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	defer func() { l.Close(); <-ended }()
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
					io.WriteString(c, "+PONG\r\n")
				}
			}()
		}
	}()
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	for _, c := range []Config{
		{Address: address, Netns: name},
		{Address: address, Netns: netns.Path(name)},
		{Address: "localhost:" + port, Netns: name, Send: "PING\r\n", Expect: "+PONG"},
	} {
		if s := status(t, c, time.Minute); s.State != drivers.Up {
			t.Errorf("%+v: %+v", c, s)
		}
	}
	if s := status(t, Config{Address: address}, time.Minute); s.Detail != "connection refused at "+address {
		t.Errorf("from outside: %+v", s)
	}
	l.Close()
	if s := status(t, Config{Address: address, Netns: name}, time.Minute); s.Detail != "connection refused at "+address {
		t.Errorf("nobody listens inside: %+v", s)
	}
	if s := status(t, Config{Address: address, Netns: "svctest-none"}, time.Minute); !strings.Contains(s.Detail, "no such network namespace") {
		t.Errorf("%+v", s)
	}
	if found := (&Config{Address: address, Netns: "a/b"}).Validate(); len(found) != 1 || found[0].Field != "netns" {
		t.Error(found)
	}
}

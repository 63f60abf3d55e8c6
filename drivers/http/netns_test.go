package http

import (
	"fmt"
	"net"
	"net/http"
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
	name := fmt.Sprintf("svctest-http-%d", os.Getpid())
	t.Cleanup(func() {
		if err := netns.Remove(name); err != nil {
			t.Error(err)
		}
	})
	if err := netns.Make(name); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	err := netns.Do(netns.Path(name), func() (err error) { l, err = net.Listen("tcp", "[::1]:0"); return err })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") })}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	defer func() { server.Close(); <-ended }()
	url := "http://" + l.Addr().String() + "/"
	if s := status(t, Config{URL: url, Body: "fine", Netns: name}, time.Minute); s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
	if s := status(t, Config{URL: url}, time.Minute); !strings.Contains(s.Detail, "connection refused") {
		t.Errorf("from outside: %+v", s)
	}
	if s := status(t, Config{URL: url, Netns: "svctest-none"}, time.Minute); !strings.Contains(s.Detail, "no such network namespace") {
		t.Errorf("%+v", s)
	}
	if found := (&Config{URL: url, Method: "GET", Status: "200", Netns: "a/b"}).Validate(); len(found) != 1 || found[0].Field != "netns" {
		t.Error(found)
	}
}

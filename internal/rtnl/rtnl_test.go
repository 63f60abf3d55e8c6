package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
)

func namespace(t *testing.T) (name, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	name = fmt.Sprintf("svctest-rtnl-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	t.Cleanup(func() {
		if err := netns.Remove(name); err != nil {
			t.Error(err)
		}
	})
	if err := netns.Make(name); err != nil {
		t.Fatal(err)
	}
	return name, netns.Path(name)
}

func await(t *testing.T, heard chan *News, what string, is func(*News) bool) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case n := <-heard:
			if is(n) {
				return
			}
		case <-limit.C:
			t.Fatalf("never heard of %s", what)
		}
	}
}

func TestOneSubscriptionServesAllInANamespaceAndEndsWithTheLast(t *testing.T) {
	name, path := namespace(t)
	k, e := New(path), NewEvents(OfLinksAndAddresses|OfRoutes)
	heard := make(chan *News, 1000)
	var ends []func()
	for range 2 {
		end, err := e.Listen(path, func(n *News) { heard <- n })
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	a := netip.MustParsePrefix("10.9.0.1/24")
	away := Route{Destination: netip.MustParsePrefix("10.10.0.0/16"), Gateway: netip.MustParseAddr("10.9.0.2"), Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST, Protocol: Ours}
	err := k.Converse(t.Context(), func() error {
		lo, err := k.Find("lo")
		if err == nil {
			err = k.AddAddress(lo.Index, a, "", 0)
		}
		if err == nil {
			err = k.AddRoute(away)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, heard, "the address", func(n *News) bool { return n.Addrs[a.Addr()] })
	await(t, heard, "the route", func(n *News) bool { return n.Routes[away.Destination] })
	if err := netns.Remove(name); err != nil {
		t.Fatal(err)
	}
	await(t, heard, "the namespace's end", func(n *News) bool { return n.All })
	if err := netns.Make(name); err != nil {
		t.Fatal(err)
	}
	await(t, heard, "its return", func(n *News) bool { return n.All })
	ends[0]()
	if e.rooms[path] == nil {
		t.Error("the subscription ended with the first")
	}
	ends[1]()
	if e.rooms[path] != nil {
		t.Error("the subscription outlives the last")
	}
}

func TestTheKernelsOwnWordsAreInTheError(t *testing.T) {
	_, path := namespace(t)
	k := New(path)
	err := k.Converse(t.Context(), func() error {
		return k.AddRoute(Route{Destination: netip.MustParsePrefix("10.10.0.0/16"), Gateway: netip.MustParseAddr("10.9.0.2"), Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST})
	})
	if !errors.Is(err, unix.ENETUNREACH) || !strings.Contains(err.Error(), "gateway") {
		t.Error(err)
	}
}

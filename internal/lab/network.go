package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cut is a fault of the network: frames from one node to another are lost. "" is any.
type Cut struct{ From, To string }

// The switch and the client are namespaces with a name: both live without a process.
func (l *Lab) switchSpace() string { return l.Name + "-switch" }

// Client is the name of the network namespace that a client of the services is in.
func (l *Lab) Client() string { return l.Name + "-client" }

func (l *Lab) port(n *Node) string { return l.Name + "-" + n.Name }

// plug makes the switch, and a client on it.
func (l *Lab) plug(network string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sw := l.switchSpace()
	for _, args := range [][]string{
		{"netns", "add", sw},
		{"netns", "add", l.Client()},
		{"-n", sw, "link", "add", "br0", "type", "bridge", "forward_delay", "0"},
		{"-n", sw, "link", "set", "br0", "up"},
		{"-n", sw, "link", "add", "client", "type", "veth", "peer", "name", "eth0", "netns", l.Client()},
		{"-n", sw, "link", "set", "client", "master", "br0", "up"},
		{"-n", l.Client(), "link", "set", "lo", "up"},
		{"-n", l.Client(), "address", "add", network + ".2/24", "dev", "eth0"},
		{"-n", l.Client(), "link", "set", "eth0", "up"},
	} {
		if err := run(ctx, "ip", args...); err != nil {
			return fmt.Errorf("cannot make the lab's network: %w", err)
		}
	}
	return nil
}

func (l *Lab) unplug() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, space := range []string{l.Client(), l.switchSpace()} {
		if _, e := os.Stat("/run/netns/" + space); errors.Is(e, fs.ErrNotExist) {
			continue
		}
		err = errors.Join(err, run(ctx, "ip", "netns", "del", space))
	}
	return err
}

// connect plugs a node that was just started into the switch, and tells its init.
func (l *Lab) connect(n *Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sw := l.switchSpace()
	_ = run(ctx, "ip", "-n", sw, "link", "del", l.port(n)) // of its last boot: the kernel takes its time
	pid := strconv.Itoa(n.PID)
	in := []string{"--target", pid, "--net", "--", "ip"}
	for _, args := range [][]string{
		{"ip", "-n", sw, "link", "add", l.port(n), "type", "veth", "peer", "name", "eth0", "netns", pid},
		{"ip", "-n", sw, "link", "set", l.port(n), "master", "br0", "up"},
		append(append([]string{"nsenter"}, in...), "link", "set", "lo", "up"),
		append(append([]string{"nsenter"}, in...), "address", "add", n.Address+"/24", "dev", "eth0"),
		append(append([]string{"nsenter"}, in...), "link", "set", "eth0", "up"),
	} {
		if err := run(ctx, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return l.enforce(ctx)
}

// link sets a node's port of the switch up or down: the node sees its carrier go.
func (l *Lab) link(ctx context.Context, n *Node, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return run(ctx, "ip", "-n", l.switchSpace(), "link", "set", l.port(n), state)
}

// Unplug takes a node's cable out, or puts it back.
func (l *Lab) Unplug(ctx context.Context, n *Node, out bool) error {
	if n.PID == 0 {
		return fmt.Errorf("%s is off", n.Name)
	}
	return l.link(ctx, n, !out)
}

// Lose has the switch lose frames beside those that it loses already: the nodes see no
// carrier go, as behind a broken switch.
func (l *Lab) Lose(ctx context.Context, cuts ...Cut) error {
	for _, c := range cuts {
		if !slices.Contains(l.Cuts, c) {
			l.Cuts = append(l.Cuts, c)
		}
	}
	return errors.Join(l.enforce(ctx), l.save())
}

// Mend ends every fault of the network.
func (l *Lab) Mend(ctx context.Context) error {
	l.Cuts = nil
	err := l.enforce(ctx)
	for _, n := range l.Nodes {
		if n.PID != 0 {
			err = errors.Join(err, l.link(ctx, n, true))
		}
	}
	return errors.Join(err, l.save())
}

// enforce has the switch lose what Cuts says.
func (l *Lab) enforce(ctx context.Context) error {
	var rules strings.Builder
	rules.WriteString("table bridge faults\ndelete table bridge faults\n")
	if len(l.Cuts) > 0 {
		rules.WriteString("table bridge faults {\n  chain forward {\n    type filter hook forward priority 0;\n")
		for _, c := range l.Cuts {
			rules.WriteString("   ")
			if c.From != "" {
				fmt.Fprintf(&rules, " iifname %q", l.Name+"-"+c.From)
			}
			if c.To != "" {
				fmt.Fprintf(&rules, " oifname %q", l.Name+"-"+c.To)
			}
			rules.WriteString(" drop\n")
		}
		rules.WriteString("  }\n}\n")
	}
	path := l.Dir + "/faults.nft"
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		return fmt.Errorf("cannot set the faults of the lab's network: %w", err)
	}
	if err := run(ctx, "nsenter", "--net=/run/netns/"+l.switchSpace(), "--", "nft", "-f", path); err != nil {
		return fmt.Errorf("cannot set the faults of the lab's network: %w", err)
	}
	return nil
}

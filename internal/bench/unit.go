package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/svcctl/svcctl/internal/lab"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/testengine"
)

const containerUnit = `[Service]
ExecStart=/usr/local/bin/docker -H tcp://127.0.0.1:2375 start -a unit
Restart=always
RestartSec=0
[Unit]
StartLimitIntervalSec=0
`

// unitOfSystemd keeps the container called unit up as many administrators do: a unit
// whose program is the engine's client. Its systemd is the init of a host of its own;
// the engine's socket is relayed into it.
func (b *bench) unitOfSystemd(e *testengine.Engine) (end func(), err error) {
	image, err := lab.Debian()
	if err != nil {
		return nil, err
	}
	h, err := lab.NewHost("benchunit", image, b.folder("host"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	var relays sync.WaitGroup
	var l net.Listener
	end = func() {
		cancel()
		_ = h.Close()
		if l != nil {
			_ = l.Close()
		}
		relays.Wait()
	}
	err = errors.Join(h.Copy("/usr/bin/docker", "/usr/local/bin/docker", 0o755),
		h.Write("/etc/systemd/system/unit.service", containerUnit, 0o644))
	if err == nil {
		err = h.Boot(ctx)
	}
	if err == nil {
		err = netns.Do(fmt.Sprintf("/proc/%d/ns/net", h.PID()), func() error {
			l, err = net.Listen("tcp", "127.0.0.1:2375")
			return err
		})
	}
	if err != nil {
		end()
		return nil, err
	}
	relays.Go(func() { relay(ctx, l, e.Socket, &relays) })
	if _, err = h.Run(ctx, "systemctl", "start", "unit.service"); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

func relay(ctx context.Context, l net.Listener, to string, relays *sync.WaitGroup) {
	for {
		in, err := l.Accept()
		if err != nil {
			return // closed: the measurement is over
		}
		out, err := net.Dial("unix", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = in.Close(); _ = out.Close() })
		relays.Go(func() { _, _ = io.Copy(out, in); _ = out.(*net.UnixConn).CloseWrite() })
		relays.Go(func() {
			_, _ = io.Copy(in, out)
			stop()
			_ = in.Close()
			_ = out.Close()
		})
	}
}

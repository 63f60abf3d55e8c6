package main

import (
	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/app"
	"github.com/svcctl/svcctl/drivers/container"
	"github.com/svcctl/svcctl/drivers/disk"
	"github.com/svcctl/svcctl/drivers/dns"
	"github.com/svcctl/svcctl/drivers/exec"
	"github.com/svcctl/svcctl/drivers/grpc"
	"github.com/svcctl/svcctl/drivers/http"
	"github.com/svcctl/svcctl/drivers/icmp"
	"github.com/svcctl/svcctl/drivers/ip"
	"github.com/svcctl/svcctl/drivers/loop"
	"github.com/svcctl/svcctl/drivers/mount"
	"github.com/svcctl/svcctl/drivers/netns"
	"github.com/svcctl/svcctl/drivers/route"
	"github.com/svcctl/svcctl/drivers/sql"
	"github.com/svcctl/svcctl/drivers/systemd"
	"github.com/svcctl/svcctl/drivers/tcp"
	"github.com/svcctl/svcctl/keeper"
)

// newKinds returns every kind that this program has: the one place that knows them
// all. Without a keeper, as in commands, they can be validated and explained, not run.
func newKinds(k *keeper.Client) *drivers.Registry {
	r := &drivers.Registry{}
	app.Register(r, k)
	container.Register(r)
	ip.Register(r)
	loop.Register(r)
	mount.Register(r)
	netns.Register(r)
	route.Register(r)
	systemd.Register(r)
	disk.Register(r)
	dns.Register(r)
	exec.Register(r)
	grpc.Register(r)
	http.Register(r)
	icmp.Register(r)
	sql.Register(r)
	tcp.Register(r)
	return r
}

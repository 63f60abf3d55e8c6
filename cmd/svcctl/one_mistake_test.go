package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/svcctl/svcctl/spec"
)

const unmistaken = `variable "port" {
  default = 8080
}

locals {
  sites = ["paris", "lyon"]
  user  = "web"
}

assert {
  condition = var.port > 1024
  message   = "Ports above 1024 only."
}

service "web" {
  description = "The web and its disk"
  topology    = "failover"
  nodes       = ["n1", "n2"]
  requires    = ["db"]
  rto         = "30s"

  mount "data" {
    device  = "/dev/vg0/web"
    path    = "/srv/web"
    type    = "ext4"
    options = ["noatime"]
  }

  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }

  app "main" {
    command = ["/usr/bin/web", "--listen", hostport(ip.vip.host, var.port), "--data", mount.data.path]
    user    = local.user
    env     = { LOG = "info", SITES = join(",", local.sites) }
    memory  = "512M"
    after   = [mount.data]

    restart {
      attempts = 5
      within   = "10m"
      backoff  = "1s"
    }

    timeouts {
      start = "2m"
    }

    check "http" "health" {
      url     = "http://${hostport(ip.vip.host, var.port)}/health"
      every   = "5s"
      timeout = "2s"
    }
  }

  app "worker" {
    for_each = local.sites
    command  = ["/usr/bin/worker", "--site", each.key]
    optional = true
    after    = [app.main]
  }

  container "cache" {
    image = "docker.io/library/redis:7"
    ports = ["6379:6379"]
    env   = { MODE = "small" }
  }

  task "backup" {
    command  = ["/usr/bin/backup", mount.data.path]
    schedule = "0 3 * * *"
    timezone = "Europe/Paris"
    timeout  = "1h"
  }
}

service "db" {
  nodes = ["n1", "n2"]

  app "main" {
    command = ["/usr/bin/db"]
  }
}
`

// One mistake is one finding, at the token, with a way out; nothing is said of what only
// follows from it.
func TestOneMistakeIsOneFinding(t *testing.T) {
	if s, found := loadOne(unmistaken); s == nil || len(found) > 0 {
		t.Fatalf("the set has findings before it is changed:\n%s", textOf(found))
	}
	for _, c := range []struct{ was, is, code, token, detail string }{
		// words
		{`command = ["/usr/bin/web"`, `comand = ["/usr/bin/web"`, "SV0104", `comand`, `Did you mean "command"?`},
		{`command = ["/usr/bin/web"`, `ExecStart = ["/usr/bin/web"`, "SV0104", `ExecStart`, `"command"`},
		{`after   = [mount.data]`, `depends_on = [mount.data]`, "SV0104", `depends_on`, `"after"`},
		{`memory  =`, `mem_limit =`, "SV0104", `mem_limit`, `"memory"`},
		{`env     = {`, `environment = {`, "SV0104", `environment`, `"env"`},
		{`every   =`, `interval =`, "SV0104", `interval`, `"every"`},
		{`url     =`, `uri =`, "SV0104", `uri`, `"url"`},
		{`device  =`, `source =`, "SV0104", `source`, `"device"`},
		{`path    =`, `mountpoint =`, "SV0104", `mountpoint`, `"path"`},
		{`type    =`, `fstype =`, "SV0104", `fstype`, `"type"`},
		{`interface =`, `dev =`, "SV0104", `dev`, `"interface"`},
		{`address   =`, `cidr =`, "SV0104", `cidr`, `"address"`},
		{`timezone =`, `tz =`, "SV0104", `tz`, `"timezone"`},
		{`schedule =`, `cron =`, "SV0104", `cron`, `"schedule"`},
		{`requires    =`, `depends_on =`, "SV0104", `depends_on`, `"requires"`},
		{`nodes       =`, `hosts =`, "SV0104", `hosts`, `"nodes"`},
		{`rto         = "30s"`, `image = "nginx"`, "SV0104", `image`, `container`},
		{`optional =`, `count =`, "SV0104", `count`, `service around it`},
		{`memory  = "512M"`, `ports = ["80:80"]`, "SV0104", `ports`, `container`},
		{`default = 8080`, `defualt = 8080`, "SV0104", `defualt`, `"default"`},
		{`condition =`, `condtion =`, "SV0104", `condtion`, `"condition"`},
		{`attempts =`, `max_retries =`, "SV0104", `max_retries`, `"attempts"`},
		// blocks
		{"restart {\n", "restrat {\n", "SV0108", `restrat`, `"restart"`},
		{"timeouts {\n      start = \"2m\"\n    }", "timeouts = \"2m\"", "SV0111", `timeouts`, `timeouts { start = "60s" }`},
		{"restart {\n      attempts = 5\n      within   = \"10m\"\n      backoff  = \"1s\"\n    }", `restart = "always"`, "SV0111", `restart`, `restart { attempts = 3 }`},
		{`env   = { MODE = "small" }`, "env {\n MODE = \"small\"\n}", "SV0110", `env`, `env = …`},
		{`env   = { MODE = "small" }`, "environment {\n MODE = \"small\"\n}", "SV0108", `environment`, `env = …`},
		{`container "cache"`, `docker "cache"`, "SV0205", `docker`, `"container"`},
		{`mount "data"`, `volume "data"`, "SV0205", `volume`, `"mount"`},
		{`ip "vip"`, `vip "vip"`, "SV0205", `vip`, `"ip"`},
		{`task "backup"`, `cronjob "backup"`, "SV0205", `cronjob`, `"task"`},
		{`app "main" {` + "\n    command = [\"/usr/bin/db\"]", `resource "app" "main" {` + "\n    command = [\"/usr/bin/db\"]", "SV0205", `resource`, `app "main"`},
		{`check "http"`, `check "https"`, "SV0206", `"https"`, `"http"`},
		{`check "http" "health"`, `check "http"`, "SV0107", `check`, `check "…" "…"`},
		{`mount "data"`, `mount`, "SV0107", `mount`, `mount "…"`},
		{`mount "data"`, `mount "data" "more"`, "SV0107", `"more"`, `mount "…"`},
		{`service "db"`, `servce "db"`, "SV0103", `servce`, `"service"`},
		{`locals {`, `local {`, "SV0103", `local`, `"locals"`},
		{`service "db"`, `job "db"`, "SV0103", `job`, `"service"`},
		{`service "db"`, "service \"web\" {\n  nodes = [\"n1\"]\n}\n\nservice \"db\"", "SV0201", `"web"`, `The first is at`},
		{`container "cache"`, `container "cache one"`, "SV0109", `"cache one"`, `letters`},
		// references
		{`after   = [mount.data]`, `after   = [mount.date]`, "SV0209", `mount.date`, `"mount.data"`},
		{`after   = [mount.data]`, `after   = ["mount.data"]`, "SV0216", `"mount.data"`, `without quotes`},
		{`after   = [mount.data]`, `after   = mount.data`, "SV0217", `mount.data`, `[mount.data]`},
		{`after   = [mount.data]`, `after   = [data]`, "SV0217", `data`, `Write mount.data.`},
		{`after   = [mount.data]`, `after   = [task.backup]`, "SV0225", `task.backup`, `name a resource`},
		{`after   = [mount.data]`, `after   = [app.worker]`, "SV0213", `app.worker`, `Remove one`},
		{`"--data", mount.data.path]`, `"--data", mount.data.pth]`, "SV0210", `pth`, `"path"`},
		{`user    = local.user`, `user    = local.usr`, "SV0207", `local.usr`, `"local.user"`},
		{`user    = local.user`, `user    = var.usr`, "SV0207", `var.usr`, `variable "usr"`},
		{`user    = local.user`, `user    = user`, "SV0208", `user`, `local.user`},
		{`optional = true`, `optional = True`, "SV0208", `True`, `Write true.`},
		{`optional = true`, `optional = yes`, "SV0208", `yes`, `Write true.`},
		{`optional = true`, `optional = "on"`, "SV0302", `"on"`, `optional = true`},
		{`each.key]`, `each.kye]`, "SV0221", `kye`, `"key"`},
		{`each.key]`, `node.hostname]`, "SV0221", `hostname`, `name`},
		{`"--site", each.key]`, `"--site", each.key, app.main["a"].x]`, "SV0210", `"a"`, `no for_each`},
		{`schedule = "0 3 * * *"`, `schedule = each.key`, "SV0219", `each.key`, `for_each`},
		{`description = "The web`, `description = "${node.name}`, "SV0218", `node.name`, `may read node`},
		{`requires    = ["db"]`, `requires    = ["bd"]`, "SV0211", `"bd"`, `"db"`},
		{`requires    = ["db"]`, `requires    = ["web"]`, "SV0212", `"web"`, `Remove it.`},
		{"service \"db\" {\n", "service \"db\" {\n  requires = [\"web\"]\n", "SV0214", `"web"`, `Remove one of these.`},
		{`join(",", local.sites)`, `jion(",", local.sites)`, "SV0222", `jion`, `"join"`},
		{`join(",", local.sites)`, `env("SITES")`, "SV0223", `env`, `agent.hcl`},
		{`sites = ["paris", "lyon"]`, `sites = [local.user, local.sites[0]]`, "SV0215", `sites`, `Remove one`},
		{`user  = "web"`, `user  = upper(`, "SV0101", ``, ``},
		// values
		{`command = ["/usr/bin/db"]`, `command = "/usr/bin/db --port 5432"`, "SV0302", `"/usr/bin/db --port 5432"`, `["/usr/bin/db", "--port", "5432"]`},
		{`nodes = ["n1", "n2"]`, `nodes = "n1,n2"`, "SV0302", `"n1,n2"`, `["n1", "n2"]`},
		{`ports = ["6379:6379"]`, `ports = "6379:6379"`, "SV0302", `"6379:6379"`, `["6379:6379"]`},
		{`env   = { MODE = "small" }`, `env   = ["MODE=small"]`, "SV0302", `["MODE=small"]`, `MODE = "small"`},
		{`env   = { MODE = "small" }`, `env   = { MODE = ["small"] }`, "SV0302", `["small"]`, `a list`},
		{`env   = { MODE = "small" }`, `env   = { MODE = null }`, "SV0307", `null`, `leave it out`},
		{`attempts = 5`, `attempts = "five"`, "SV0302", `"five"`, `number`},
		{`attempts = 5`, `attempts = -5`, "SV0309", `-5`, ``},
		{`attempts = 5`, `attempts = 1.5`, "SV0305", `1.5`, ``},
		{`attempts = 5`, `attempts = 99999999999999999999`, "SV0305", `99999999999999999999`, ``},
		{`timeout = "2s"`, `timeout = 2`, "SV0303", `2`, `"2s"`},
		{`timeout = "2s"`, `timeout = "2"`, "SV0303", `"2"`, `"2s"`},
		{`timeout = "2s"`, `timeout = "2 seconds"`, "SV0303", `"2 seconds"`, `"2s"`},
		{`timeout = "2s"`, `timeout = "-2s"`, "SV0305", `"-2s"`, `"2s"`},
		{`timeout = "2s"`, `timeout = "20s"`, "SV0309", `"20s"`, `5s`},
		{`timeout  = "1h"`, `timeout  = "1 day"`, "SV0303", `"1 day"`, `"24h"`},
		{`memory  = "512M"`, `memory  = "512 mb"`, "SV0306", `"512 mb"`, `"512M"`},
		{`topology    = "failover"`, `topology    = "failvoer"`, "SV0304", `"failvoer"`, `"failover"`},
		{`topology    = "failover"`, `topology    = "active-passive"`, "SV0304", `"active-passive"`, `"failover"`},
		{`type    = "ext4"`, `type    = "ext5"`, "SV0304", `"ext5"`, `"ext4"`},
		{`path    = "/srv/web"`, `path    = "srv/web"`, "SV0309", `"srv/web"`, ``},
		{`address   = "10.0.0.10/24"`, `address   = "10.0.0.10"`, "SV0309", `"10.0.0.10"`, `/24`},
		{`address   = "10.0.0.10/24"`, `address   = "10.0.0.300/24"`, "SV0309", `"10.0.0.300/24"`, ``},
		{`ports = ["6379:6379"]`, `ports = ["6380:6380", "99999:6379"]`, "SV0309", `"99999:6379"`, `no port`},
		{`nodes       = ["n1", "n2"]`, `nodes       = ["n1", "n1"]`, "SV0309", `"n1"`, `Remove one`},
		{`url     = "http://${hostport(ip.vip.host, var.port)}/health"`, `url     = "localhost/health"`, "SV0309", `"localhost/health"`, `http://`},
		{`for_each = local.sites`, `for_each = [1, 2]`, "SV0308", `[1, 2]`, `tostring`},
		{`schedule = "0 3 * * *"`, `schedule = "0 25 * * *"`, "SV0312", `"0 25 * * *"`, `0 to 23`},
		{`schedule = "0 3 * * *"`, `schedule = "3am"`, "SV0312", `"3am"`, `Write minute`},
		{`timezone = "Europe/Paris"`, `timezone = "Paris"`, "SV0313", `"Paris"`, `"Europe/Paris"`},
		{`var.port > 1024`, `var.port > 9000`, "SV0310", `var.port > 9000`, `Ports above`},
		{`command = ["/usr/bin/db"]`, `command = null`, "SV0105", `null`, `command =`},
		{`image = "docker.io/library/redis:7"`, ``, "SV0105", `container`, `image =`},
		{`"--data", mount.data.path]`, `local.sites[7]]`, "SV0301", `7`, ``},
		{`"--data", mount.data.path]`, `"${1 / 0}"]`, "SV0301", `1 / 0`, ``},
		// text
		{`user  = "web"`, `user  = "web`, "SV0101", `"web`, `closes it`},
		{`user  = "web"`, `user  = 'web'`, "SV0101", `'web'`, `"web"`},
		{`user  = "web"`, `user  = “web”`, "SV0101", `“`, `straight`},
		{`user  = "web"`, `user: "web"`, "SV0101", `:`, `user = …`},
		{`user  = "web"`, `user  = "web";`, "SV0101", `;`, `Remove it`},
		{`user  = "web"`, `user  = "web",`, "SV0101", `,`, `Remove the comma`},
		{`user  = "web"`, `user  = 10web`, "SV0101", `10web`, `"10web"`},
		{`user  = "web"`, `user  = "\web"`, "SV0101", `\w`, `\\`},
		{`user  = "web"`, `user`, "SV0101", `user`, `user = …`},
		{`user  = "web"`, `user  =`, "SV0101", ``, `a value`},
		{`user  = "web"`, `"user" = "web"`, "SV0101", `"user"`, `without quotes`},
		{`["paris", "lyon"]`, `["paris" "lyon"]`, "SV0101", `"`, `comma`},
		{`["paris", "lyon"]`, `["paris", "lyon"`, "SV0101", `[`, `]`},
		{`service "db" {`, `service "db" = {`, "SV0101", `=`, `service "db" { … }`},
		{`service "db" {`, "service \"db\"\n{", "SV0101", ``, `same line`},
		{"    timeouts {\n      start = \"2m\"\n    }\n", "    timeouts {\n      start = \"2m\"\n", "SV0101", `{`, `Write }`},
		{`"http://${hostport(ip.vip.host, var.port)}/health"`, `"http://${hostport(ip.vip.host, var.port)/health"`, "SV0101", ``, ``},
		{"rto         = \"30s\"\n", "rto         = \"30s\"\n  rto         = \"31s\"\n", "SV0102", `rto`, `The first is at web.hcl:20`},
		{`user  = "web"`, "user  = <<-EOT\n    web", "SV0101", `<<-EOT`, `EOT`},
	} {
		if strings.Count(unmistaken, c.was) == 0 {
			t.Errorf("%s: the set has no such text", c.was)
			continue
		}
		text := strings.Replace(unmistaken, c.was, c.is, 1)
		_, found := loadOne(text)
		if len(found) != 1 || found[0].Code != c.code || !strings.Contains(found[0].Detail, c.detail) {
			t.Errorf("%s → %s: want %s with %q, found\n%s", c.was, c.is, c.code, c.detail, textOf(found))
			continue
		}
		if at := found[0].Range; c.token != "" && string(at.SliceBytes([]byte(text))) != c.token {
			t.Errorf("%s → %s: %s is placed at %q, want %q", c.was, c.is, c.code, at.SliceBytes([]byte(text)), c.token)
		}
	}
}

func loadOne(text string) (*spec.Spec, spec.Findings) {
	return spec.NewLoader(spec.Options{Kinds: newKinds(nil)}).Load(fstest.MapFS{"web.hcl": {Data: []byte(text)}})
}

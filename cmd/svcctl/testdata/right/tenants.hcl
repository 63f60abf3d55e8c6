locals {
  base = 8000
  tenants = {
    acme    = { number = 1, domain = "acme.example.com" }
    globex  = { number = 2, domain = "globex.example.com" }
    initech = { number = 3, domain = "initech.example.com" }
  }
  numbers = { for name, t in local.tenants : name => tostring(t.number) }
}

service "tenants" {
  ip "vip" {
    for_each  = local.numbers
    address   = "${cidrhost("10.8.0.0/16", tonumber(each.value) + 10)}/16"
    interface = "eth0"
  }

  container "web" {
    for_each = local.numbers
    image    = "registry.example.com:5000/tenant@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    name     = "tenant-${each.key}"
    ports    = ["${cidrhost("10.8.0.0/16", tonumber(each.value) + 10)}:80:8080", "127.0.0.1:${local.base + tonumber(each.value)}:9090"]
    volumes  = ["/srv/tenants/${each.key}:/data"]
    env      = { DOMAIN = local.tenants[each.key].domain }
    after    = [ip.vip]
  }

  mount "scratch" {
    for_each = local.numbers
    type     = "tmpfs"
    path     = "/srv/tenants/${each.key}/tmp"
    size     = "64M"
  }
}

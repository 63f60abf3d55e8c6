# Two balancers, each at home on its own node, each other's fall-back.
service "lb-a" {
  nodes = ["n1", "n2"]

  ip "vip" {
    address   = "192.0.2.10/24"
    interface = "eth0"
    refresh   = "5m"
  }

  ip "vip6" {
    address   = "2001:db8:0:1::10/64"
    interface = "eth0"
  }

  route "default" {
    destination = "default"
    gateway     = "192.0.2.1"
    source      = ip.vip.host
    table       = 101
  }

  app "haproxy" {
    command = ["/usr/sbin/haproxy", "-Ws", "-f", "/etc/haproxy/lb-a.cfg", "-p", "/run/haproxy-a.pid"]
    ready   = "notify"
    env     = { BIND4 = ip.vip.host, BIND6 = ip.vip6.host, PORT = "443" }
    after   = [route.default]
  }
}

service "lb-b" {
  nodes = ["n2", "n1"]

  ip "vip" {
    address   = "192.0.2.11/24"
    interface = "eth0"
    refresh   = "5m"
  }

  ip "vip6" {
    address   = "2001:db8:0:1::11/64"
    interface = "eth0"
  }

  route "default" {
    destination = "default"
    gateway     = "192.0.2.1"
    source      = ip.vip.host
    table       = 102
  }

  app "haproxy" {
    command = ["/usr/sbin/haproxy", "-Ws", "-f", "/etc/haproxy/lb-b.cfg", "-p", "/run/haproxy-b.pid"]
    ready   = "notify"
    env     = { BIND4 = ip.vip.host, BIND6 = ip.vip6.host, PORT = "443" }
    after   = [route.default]
  }
}

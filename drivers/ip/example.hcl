# Two addresses that move with the service, and what listens on them.

service "gateway" {
  nodes = ["n1", "n2"]

  ip "v4" {
    address   = "10.0.0.10/24"
    interface = "eth0"
    label     = "eth0:gw"
    refresh   = "5m" # for a switch that forgets
  }

  ip "v6" {
    address   = "2001:db8::10/64"
    interface = "eth0"
    probe     = "rfc" # slow and thorough
  }

  app "proxy" {
    command = [
      "/usr/local/bin/proxy",
      "--listen", hostport(ip.v4.host, 443),
      "--listen", hostport(ip.v6.host, 443),
    ]

    check "tcp" "v4" {
      address = hostport(ip.v4.host, 443)
    }
  }
}

# A network of the service's own, with a leg in a bridge of the host.

service "inside" {
  netns "own" {}

  ip "private" {
    address = "10.20.0.10/24"
    netns   = netns.own.name
    link    = "veth"
    bridge  = "br0"
    gateway = "10.20.0.1"
  }

  ip "second" {
    address = "fd20::10/64"
    netns   = netns.own.name
    link    = "none" # on the interface that ip.private made
    after   = [ip.private]
  }
}

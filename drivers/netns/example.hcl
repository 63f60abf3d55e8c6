# A network of the service's own: the address and the default route are inside, nothing
# else of the host is, and "ip netns exec orders.inner ip address" shows it.
service "orders" {
  netns "inner" {}

  ip "vip" {
    address   = "10.0.0.10/24"
    netns     = netns.inner.name
    link      = "macvlan"
    interface = "eth0"
    gateway   = "10.0.0.1"
  }

  app "main" {
    command = ["/usr/local/bin/orders", "--listen", hostport(ip.vip.host, 8080)]
    netns   = netns.inner.name

    check "tcp" "port" { # a macvlan is not reached from its own host: looked at from inside
      address = hostport(ip.vip.host, 8080)
      netns   = netns.inner.name
    }
  }
}

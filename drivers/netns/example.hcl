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

    check "tcp" "port" {
      address = hostport("127.0.0.1", 22)
      netns   = netns.inner.name
    }
  }
}

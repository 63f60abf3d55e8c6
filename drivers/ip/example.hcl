# The address moves with the service; whoever uses it needs no name of an interface.
service "web" {
  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }

  # A network of its own, with a leg in a bridge of the host.
  netns "inner" {}

  ip "private" {
    address = "10.20.0.10/24"
    netns   = netns.inner.name
    link    = "veth"
    bridge  = "br0"
    gateway = "10.20.0.1"
  }

  ip "second" {
    address = "fd20::10/64"
    netns   = netns.inner.name
    link    = "none" # on the interface that ip.private made
    after   = [ip.private]
  }
}

# The branch network is reached by another router than the rest, with the service's own
# address; where the link to it is lost, nothing leaks out by the default route.
service "branch" {
  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }

  route "branch" {
    destination = "10.20.0.0/16"
    gateway     = "10.0.0.2"
    source      = ip.vip.host
  }

  route "nowhere_else" {
    destination = "10.20.0.0/16"
    type        = "unreachable"
    metric      = 1000
  }

  netns "inner" {}

  ip "private" {
    address = "10.30.0.10/24"
    netns   = netns.inner.name
    link    = "veth"
    bridge  = "br0"
  }

  route "out" {
    destination = "default"
    gateway     = "10.30.0.1"
    netns       = netns.inner.name
    after       = [ip.private]
  }
}

service "vrf-red" {
  netns "red" {}

  ip "lan" {
    address   = "192.168.1.10/24"
    netns     = netns.red.name
    interface = "eth0"
    gateway   = "192.168.1.1"
  }

  route "branch" {
    destination = "10.20.0.0/16"
    gateway     = "192.168.1.2"
    netns       = netns.red.name
    after       = [ip.lan]
  }

  app "red" {
    command = ["/usr/local/bin/red", "--listen", hostport(ip.lan.host, 80)]
    netns   = netns.red.name
  }
}

service "vrf-blue" {
  netns "blue" {
    name = "blue"
  }

  ip "lan" {
    address = "192.168.1.10/24"
    netns   = netns.blue.name
    link    = "veth"
    bridge  = "br0"
    gateway = "192.168.1.1"
  }

  route "branch" {
    destination = "10.20.0.0/16"
    gateway     = "192.168.1.2"
    netns       = netns.blue.name
    after       = [ip.lan]
  }

  app "blue" {
    command = ["/usr/local/bin/blue", "--listen", hostport(ip.lan.host, 80)]
    netns   = netns.blue.name
  }
}

service "host" {
  ip "lan" {
    address   = "192.168.1.10/24"
    interface = "eth0"
  }

  ip "ll1" {
    address   = "fe80::1/64"
    interface = "br1"
  }

  ip "ll2" {
    address   = "fe80::1/64"
    interface = "br2"
  }
}

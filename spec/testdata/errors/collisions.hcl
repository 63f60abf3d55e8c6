# What would collide on a node that two services, or two resources of one, may share.
service "first" {
  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }
  mount "data" {
    device = "/dev/vg0/first"
    path   = "/srv/first"
  }
  app "main" {
    command = ["/usr/bin/first"]
    env     = { LISTEN = "*" }
    port    = 8080
  }
}

service "copy" { # a name was changed, and nothing else
  ip "vip" {
    address   = "10.0.0.10/24"
#               ^^^^^^^^^^^^^^ SV0501 address 10.0.0.10 is first/ip.vip's too
    interface = "eth0"
  }
  mount "data" {
    device = "/dev/vg0/first"
#            ^^^^^^^^^^^^^^^^ SV0504 device /dev/vg0/first is first/mount.data's too
    path   = "/srv/first"
#            ^^^^^^^^^^^^ SV0503 mount point /srv/first is first/mount.data's too
  }
  app "main" {
    command = ["/usr/bin/first"]
    env     = { LISTEN = "10.0.0.10" }
    port    = 8080
#             ^^^^ SV0502 port tcp/10.0.0.10:8080 is first/app.main's too
  }
}

service "third" { # each is compared with the first
  ip "vip" {
    address   = "10.0.0.10/16"
#               ^^^^^^^^^^^^^^ SV0501 address 10.0.0.10 is first/ip.vip's too
    interface = "eth1"
  }
}

service "by_hand" { # it may be meant to take over: a warning
  orchestrate = "manual"
  ip "vip" {
    address   = "10.0.0.10/24"
#               ^^^^^^^^^^^^^^ SV0501 address 10.0.0.10 is first/ip.vip's too
    interface = "eth0"
  }
}

service "apart" {
  apart = ["first", "copy", "third", "by_hand"]
  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }
}

service "one_of_many" {
  ip "vip" {
    for_each  = ["a", "b", "c"]
    address   = "10.0.1.1/24"
#               ^^^^^^^^^^^^^ SV0501 address 10.0.1.1 is one_of_many/ip.vip["a"]'s too
    interface = "eth0"
  }
}

service "readers" {
  mount "one" {
    device  = "/dev/vg0/read"
    path    = "/srv/one"
    options = ["ro"]
  }
  mount "two" {
    device  = "/dev/vg0/read"
    path    = "/srv/two"
    options = ["ro"]
  }
  mount "writer" {
    device = "/dev/vg0/read"
#            ^^^^^^^^^^^^^^^ SV0504 device /dev/vg0/read is readers/mount.one's too
    path   = "/srv/three"
  }
}

service "here" {
  nodes = ["n1"]
  mount "data" {
    device = "/dev/vg0/here"
    path   = "/srv/place"
  }
}

service "there" { # on another node
  nodes = ["n2"]
  mount "data" {
    device = "/dev/vg0/here"
    path   = "/srv/place"
  }
}

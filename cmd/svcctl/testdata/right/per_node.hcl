locals {
  disks     = { n1 = "/dev/sdb1", n2 = "/dev/sdc1", n3 = "/dev/nvme1n1p1" }
  addresses = { n1 = "10.1.0.11/24", n2 = "10.1.0.12/24", n3 = "10.1.0.13/24" }
}

service "ceph-osd" {
  topology = "everywhere"
  nodes    = ["n1", "n2", "n3"]

  mount "osd" {
    device = local.disks[node.name]
    path   = "/srv/osd"
    type   = "xfs"
  }

  ip "storage" {
    address   = local.addresses[node.name]
    interface = lookup(node.labels, "nic", "eth1")
  }

  app "osd" {
    command = ["/usr/local/bin/osd", "--data", mount.osd.path, "--bind", ip.storage.host, "--site", lookup(node.labels, "site", "none")]
  }
}

service "scrub" {
  nodes = ["n1", "n2", "n3"]

  mount "scrub" {
    device = { n1 = "/dev/sdx1", n2 = "/dev/sdx1", n3 = "/dev/sdb1" }[node.name] # sdb1 is another disk there
    path   = "/srv/scrub"
    type   = "xfs"
  }

  app "scrub" {
    command = ["/usr/local/bin/scrub", mount.scrub.path]
  }
}

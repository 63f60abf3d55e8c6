# Data on a disk that both nodes can reach, work space in memory, and a directory shown
# at another place.

service "archive" {
  nodes = ["n1", "n2"]

  mount "data" {
    device  = { n1 = "/dev/sdb1", n2 = "/dev/sdc1" }[node.name] # called differently on each
    path    = "/srv/archive"
    type    = "xfs"
    options = ["noatime"]
    mkfs    = true # only where the device is blank
    owner   = "archive"
    mode    = "0750"
  }

  mount "work" {
    type = "tmpfs"
    path = "/srv/archive/work"
    size = "2G"

    after = [mount.data] # it lies inside
  }

  mount "export" {
    type    = "bind"
    device  = "${mount.data.path}/public"
    path    = "/srv/www/archive"
    options = ["ro"]
  }
}

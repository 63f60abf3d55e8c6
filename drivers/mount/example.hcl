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

# What servers share. The NFS mount is hard, as it is by default: programs wait for a lost
# server, and no write is lost; Stop then ends what waits, and takes the mount away.

service "media" {
  mount "films" {
    type    = "nfs4"
    device  = "nas.example.org:/export/films"
    path    = "/srv/films"
    options = ["noatime"]
    unmount = "lazy"
  }

  mount "office" {
    type     = "cifs"
    device   = "//files.example.org/office"
    path     = "/srv/office"
    username = "svc-media"
    password = secret("office-share")
    options  = ["vers=3.1.1", "seal"]
  }
}

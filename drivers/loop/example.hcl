# A file system in a file: for trying things out, and for images.

service "image" {
  loop "disk" {
    file = "/var/lib/image/disk.img"
    size = "4G" # made, sparse, where it is missing
  }

  mount "data" {
    device = loop.disk.device
    path   = "/srv/image"
    type   = "ext4"
    mkfs   = true
  }

  loop "cd" {
    file      = "/var/lib/image/tools.iso"
    read_only = true
    optional  = true # the service is up without it
  }
}

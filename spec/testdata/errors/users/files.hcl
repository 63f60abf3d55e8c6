# Mounts and disks.
service "files" {
  mount "fstab" {
    dev        = "/dev/sdb1"
#   ^^^ SV0104 mount has no argument "dev"
    mountpoint = "/srv/a"
#   ^^^^^^^^^^ SV0104 mount has no argument "mountpoint"
    fstype     = "ext4"
#   ^^^^^^ SV0104 mount has no argument "fstype"
    opts       = "noatime,nodev"
#   ^^^^ SV0104 mount has no argument "opts"
  }

  mount "options" {
    device  = "/dev/sdb2"
    path    = "/srv/b"
    options = "noatime,nodev"
#             ^^^^^^^^^^^^^^^ SV0302 "options" must be a list of texts
    type    = "ext5"
#             ^^^^^^ SV0304 "ext5" is no value for "type"
  }

  mount "relative" {
    device = "/dev/sdb3"
    path   = "srv/c"
#            ^^^^^^^ SV0309 path is not an absolute, clean path
    mode   = 0750
  }

  mount "uuid" {
    device = "UUID=1234"
    path   = "/srv/d/../e"
#            ^^^^^^^^^^^^^ SV0309 path is not an absolute, clean path
  }

  mount "nfs" {
    device = "/export/films"
#            ^^^^^^^^^^^^^^^ SV0309 device is no export of a server
    path   = "/srv/f"
    type   = "nfs4"
  }

  mount "size" {
    type = "tmpfs"
    path = "/srv/g"
    size = "2 gb"
#          ^^^^^^ SV0306 "2 gb" is no size
  }

  loop "image" {
    path = "/srv/image"
#   ^^^^ SV0104 loop has no argument "path"
    size = "10 GiB"
#          ^^^^^^^^ SV0306 "10 GiB" is no size
  }

  disk "full" {
# ^^^^ SV0205 no kind "disk"
    path = "/srv"
  }

  app "reads" {
    command = ["/usr/bin/reads", mount.relatve.path, mount.fstab.device_name]
#                                ^^^^^^^^^^^^^ SV0209 no resource mount.relatve in service "files"
    after   = [fstab, "mount.uuid"]
#              ^^^^^ SV0217 "after" takes a list of resources
#                     ^^^^^^^^^^^^ SV0216 a reference is written without quotes
  }
}

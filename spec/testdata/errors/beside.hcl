# One argument is mistaken; what the others say is judged all the same, and what
# depends on the mistaken one is not.
locals {
  name = "x"
}

service "beside" {
  topology = "scaled"
  count  = 0
#          ^ SV0309 "count" must be at least 1
  cpu    = "many"
#          ^^^^^^ SV0302 "cpu" must be a number
  nodes  = ["n1", "n1"]
#                 ^^^^ SV0309 node "n1" is named twice

  mount "device" {
    device = null
#            ^^^^ SV0105 mount needs "device"
    path   = "srv"
#            ^^^^^ SV0309 a mount point is an absolute path
  }

  mount "missing" {
# ^^^^^ SV0105 mount needs "device"
    path = "srv"
#          ^^^^^ SV0309 a mount point is an absolute path
    mkfs = true
#          ^^^^ SV0309 mkfs is for xfs
  }

  mount "type" {
    device = "/dev/sdb"
    path   = "srv"
#            ^^^^^ SV0309 a mount point is an absolute path
    type   = "xsf"
#            ^^^^^ SV0304 "xsf" is no value for "type"
    mkfs   = true
  }

  mount "misspelt" {
    device = "/dev/sdb"
    path   = "srv"
#            ^^^^^ SV0309 a mount point is an absolute path
    tpye   = "xfs"
#   ^^^^ SV0104 mount has no argument "tpye"
    mkfs   = true
  }

  mount "path" {
    device = "/dev/sdb"
    path   = local.nmae
#            ^^^^^^^^^^ SV0207 local.nmae is not defined
    size   = "0"
#            ^^^ SV0305 "size" must be more than 0
  }

  mount "zero" {
    device = "/dev/sdb"
    path   = "/srv"
    size   = 0
#            ^ SV0305 "size" must be more than 0
  }

  app "restart" {
    command = ["/bin/true"]
    restart {
      attempts = -1
#                ^^ SV0309 "attempts" must be at least 0
      backoff  = "1m"
      max      = "2"
#                ^^^ SV0303 "2" is no duration
    }
    check "tcp" "port" {
      address = "localhost:1"
      every   = 5
#               ^ SV0303 "5" is no duration
      timeout = "1h"
      fall    = 0
#               ^ SV0309 "fall" must be at least 1
    }
  }
}

# One resource is not HCL: all others are looked at, and what may be defined in the broken one
# is not missed.
variable "unread" {
  default = "/srv/${1"
#            ^^^^^ SV0101 unclosed template interpolation sequence
}

service "first" {
  description = var.unread
  requires    = ["second", "third", "fourth"]
#                                   ^^^^^^^^ SV0211 no service "fourth"
  count       = 2

  app "x" {
    comand = ["/bin/true"]
#   ^^^^^^ SV0104 app has no argument "comand"
    after  = [mount.lost, ip.nowhere]
#                         ^^^^^^^^^^ SV0209 no resource ip.nowhere in service "first"
  }

  mount "lost" {
    device = "/dev/sdb
#            ^^^^^^^^^ SV0101 text without its end
    path   = "/srv"
  }

  app "y" {
    command = [mount.lost.path, var.undefined]
#                               ^^^^^^^^^^^^^ SV0207 var.undefined is not defined
    nice    = "high"
#             ^^^^^^ SV0302 "nice" must be a number
  }
}

service "second" {
  rto = 3
#       ^ SV0303 "3" is no duration
  app "z" {
    command = ["/bin/true"
#             ^ SV0101 a list without its end
  }
}

service "third" {
  topology = "falover"
#            ^^^^^^^^^ SV0304 "falover" is no value for "topology"
}

locals {
  lost = "a" "b"
#            ^ SV0101 missing newline after argument
}

service "last" {
  description = local.lost
  nodes       = "n1"
#               ^^^^ SV0302 "nodes" must be a list of texts
}

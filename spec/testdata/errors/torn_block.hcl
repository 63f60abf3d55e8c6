# One resource is not HCL: all others are looked at, and what may be defined in the broken one
# is not missed.
variable "unread" {
  default = "/srv/${1" # ERROR: SV0101 unclosed template interpolation sequence
}

service "first" {
  description = var.unread
  requires    = ["second", "third", "fourth"] # ERROR: SV0211 no service "fourth"
  count       = 2

  app "x" {
    comand = ["/bin/true"] # ERROR: SV0104 app has no argument "comand"
    after  = [mount.lost, ip.nowhere] # ERROR: SV0209 no resource ip.nowhere in service "first"
  }

  mount "lost" {
    device = "/dev/sdb # ERROR: SV0101 invalid multi-line string
    path   = "/srv"
  }

  app "y" {
    command = [mount.lost.path, var.undefined] # ERROR: SV0207 var.undefined is not defined
    nice    = "high" # ERROR: SV0302 "nice" must be a number
  }
}

service "second" {
  rto = 3 # ERROR: SV0303 "3" is no duration
  app "z" {
    command = ["/bin/true"
  } # ERROR: SV0101 missing item separator
}

service "third" {
  topology = "falover" # ERROR: SV0304 "falover" is no value for "topology"
}

locals {
  lost = "a" "b" # ERROR: SV0101 missing newline after argument
}

service "last" {
  description = local.lost
  nodes       = "n1" # ERROR: SV0302 "nodes" must be a list of texts
}

# An argument of the service itself is broken: its resources are looked at.
service "a" {
  nodes = ["n1" "n2"]
#               ^ SV0101 missing item separator
  count = 2

  mount "m" {
    device = { n1 = "/dev/sdb" }[node.name]
    path   = "srv"
#            ^^^^^ SV0309 a mount point is an absolute path
  }
}

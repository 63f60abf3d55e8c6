service "y" {
  app "a" {
    command = ["/bin/sh"]
    umask = 0022
    nice = 5x
#          ^^ SV0101 a number with a unit is text
  }
  mount "m" {
    device = "/dev/sdb"
    path = "/srv"
    size = 10G
#          ^^^ SV0101 a number with a unit is text
  }
}

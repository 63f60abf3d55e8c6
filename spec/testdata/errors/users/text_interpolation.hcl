service "y" {
  app "a" {
    command = ["/bin/sh", "${ip.a.host"]
#                          ^^ SV0101 unclosed template interpolation sequence
  }
}

service “y” {
#       ^ SV0101 invalid character
  app "a" {
    command = [“/bin/true”]
#              ^ SV0101 invalid character
  }
}

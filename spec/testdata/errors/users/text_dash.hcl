service "y" {
  app "a" {
    command = ["/bin/true"]
    - "b"
#   ^ SV0101 a list is written in brackets
  }
}

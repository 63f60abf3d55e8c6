service "label {
#               ^ SV0101 invalid multi-line string
  app "a" {
    command = ["/bin/true"]
  }
}

service "y" {
  app "a" {
    command = ["/bin/true"]
    disabled
#   ^^^^^^^^ SV0101 a word without a value
  }
}

service "label {
#       ^^^^^^^^ SV0101 text without its end
  app "a" {
    command = ["/bin/true"]
  }
}

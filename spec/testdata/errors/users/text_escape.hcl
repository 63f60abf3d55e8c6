service "y" {
  description = "a\d"
#                 ^^ SV0101 invalid escape sequence
  app "a" {
    command = ["/bin/sh", "$${HOME}", "$HOME", "C:\temp"]
  }
}

# A brace is missing: the block is known by where the next one begins.
service "open" {
  app "a" { # ERROR: SV0101 unclosed configuration block
    command = ["/bin/true"]

  app "b" {
    command = "/bin/true" # ERROR: SV0302 "command" must be a list of texts
  }
}

service "behind" {
  requires = ["open"]
  app "c" {
    command = ["/bin/true"]
    usr     = "root" # ERROR: SV0104 app has no argument "usr"
  }
}

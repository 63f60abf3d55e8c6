# A brace is missing: the block is known by where the next one begins.
service "open" {
  app "a" {
#         ^ SV0101 a block without its end
    command = ["/bin/true"]

  app "b" {
    command = "/bin/true"
#             ^^^^^^^^^^^ SV0302 "command" must be a list of texts
  }
}

service "behind" {
  requires = ["open"]
  app "c" {
    command = ["/bin/true"]
    usr     = "root"
#   ^^^ SV0104 app has no argument "usr"
  }
}

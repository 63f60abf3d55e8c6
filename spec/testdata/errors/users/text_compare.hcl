service "web" {
  app "main" {
    command = ["/usr/bin/web"]
    user    = node.name = "n1" ? "a" : "b"
#                       ^ SV0101 missing newline after argument
  }
}

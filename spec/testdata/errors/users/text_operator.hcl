service "y" {
  app "a" {
    command = ["/bin/sh", var.x ?? "a"]
#                                ^ SV0101 invalid expression
  }
}

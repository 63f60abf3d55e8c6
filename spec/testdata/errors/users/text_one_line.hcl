service "y" {
  app "a" { command = ["/bin/sh"] user = "a" }
#                                 ^^^^ SV0101 invalid single-argument block definition
}

service "y" {
  description = "a";
#                  ^ SV0101 invalid character
  rto = "1s",
  app "a" { command = ["/bin/sh"], user = "a" }
#                                ^ SV0101 invalid single-argument block definition
}

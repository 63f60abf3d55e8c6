service "interpolation" {
  description = "a ${
  nodes = 1
#       ^ SV0101 extra characters after interpolation expression
}

service "interpolation" {
  description = "a ${
  nodes = 1 # ERROR: SV0101 extra characters after interpolation expression
}

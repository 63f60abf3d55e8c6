service "interpolation" {
  description = "a ${
#               ^^^^^ SV0101 text without its end
  nodes = 1
}

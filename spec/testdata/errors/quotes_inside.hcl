service "inside" {
  description = "a ${upper("x)} b"
#               ^^^^^^^^^^^^^^^^^^ SV0101 text without its end
  rto = "1s"
}
service "behind" {
  description = "b"
}

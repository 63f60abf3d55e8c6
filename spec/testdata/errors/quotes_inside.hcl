service "inside" {
  description = "a ${upper("x)} b"
  rto = "1s"
# ^^^ SV0101 missing argument separator
}
service "behind" {
  description = "b"
}

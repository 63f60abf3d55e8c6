locals {
  a = "${1e9999999}" # ERROR: SV0007 the number is too large
}

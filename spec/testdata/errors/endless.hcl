locals {
  a = "${1e9999999}"
#        ^^^^^^^^^ SV0007 the number is too large
}

service "y" {
  description = "café"
#                   ^ SV0005 not UTF-8
}

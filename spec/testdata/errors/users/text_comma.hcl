service "y" {
  app "a" {
    command = ["/bin/true" "a"]
#                          ^ SV0101 missing item separator
  }
  app "b" {
    command = [
      "/bin/true"
      "a"
#     ^ SV0101 missing item separator
    ]
  }
}

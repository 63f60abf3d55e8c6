service "y" {
  app "a" {
    command = ["/bin/true",
#             ^ SV0101 a list without its end
    user    = "nobody"
  }
}

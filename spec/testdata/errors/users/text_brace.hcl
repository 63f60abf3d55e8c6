service "y" {
  app "a" {
#         ^ SV0101 a block without its end
    command = ["/bin/sh"]

  app "b" {
    command = ["/bin/sh"]
  }
}

service "syntax" {
  app "x" {
    command = ["/bin/true"
#             ^ SV0101 a list without its end
  }
}

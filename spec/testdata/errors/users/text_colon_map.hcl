service "y" {
  app "a" {
    command = ["/bin/true"]
    env     = { A: "b", "C" = d }
#                             ^ SV0208 nothing is called "d"
  }
}

service "quotes" {
  rto = = 3
#       ^ SV0101 invalid expression
  rpo = "1s"
  app "open" {
    command = ["/bin/true]
#              ^^^^^^^^^^^ SV0101 text without its end
    env     = { A = "b" }
  }

  app "behind" {
    command = ["/bin/true"]
  }
}

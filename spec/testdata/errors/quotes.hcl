service "quotes" {
  rto = = 3 # ERROR: SV0101 invalid expression
  rpo = "1s"
  app "open" {
    command = ["/bin/true] # ERROR: SV0101 invalid multi-line string
    env     = { A = "b" }
  }

  app "behind" {
    command = ["/bin/true"]
  }
}

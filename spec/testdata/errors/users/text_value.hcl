service "y" {
  app "a" {
    command =
#            ^ SV0101 invalid expression
    user    = "nobody"
  }
}

service "syntax" {
  app "x" {
    command = ["/bin/true"
  } # ERROR: SV0101 missing item separator
}

service "syntax" {
  app "x" {
    command = ["/bin/true"
  }
# ^ SV0101 missing item separator
}

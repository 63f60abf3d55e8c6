service "y" {
  description = upper("a"
#                    ^ SV0101 a call without its end
  app "a" {
    command = ["/bin/true"]
  }
}

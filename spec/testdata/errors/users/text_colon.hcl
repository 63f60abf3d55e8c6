service "y" {
  description: "yaml"
#            ^ SV0101 a colon in the place of an equals sign
  app "a" {
    command = ["/bin/true"]
  }
}

service "y" {
  app "a" {
    command = ["/bin/sh"]
  }
}
}
^ SV0101 a brace that closes nothing

service "y" {
  restart.attempts = 3
# ^^^^^^^ SV0101 a dot in the name of an argument
  app "a" {
    command = ["/bin/sh"]
    rto = 5s
  }
}

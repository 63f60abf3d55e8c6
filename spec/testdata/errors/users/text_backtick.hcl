service "web" {
  app "main" {
    command = ["/usr/bin/web"]
    user    = `web`
#             ^ SV0101 invalid character
  }
}

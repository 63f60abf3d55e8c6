service "web" {
  app "main" {
    command = ["/usr/bin/web"]
    -- run as web
#   ^^ SV0101 no comment begins so
    user = "web"
  }
}

# A server that is asked for its health, and for a page that only a working one shows.

service "web" {
  app "server" {
    command = ["/usr/local/bin/server", "--listen", "127.0.0.1:8080"]
    user    = "web"

    check "http" "health" {
      url     = "http://127.0.0.1:8080/health"
      every   = "2s"
      timeout = "1s"
      fall    = 3
    }

    check "http" "search" {
      url     = "http://127.0.0.1:8080/api/search?q=test"
      headers = { Authorization = "Bearer ${secret("web-monitor")}", Host = "shop.example" }
      status  = "200"
      match   = "\"hits\": *[1-9]"
      every   = "1m"
      on_fall = "report"
    }
  }
}

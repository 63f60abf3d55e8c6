# A web application that may write its data and nothing else, with a password that no
# other process can read.
service "shop" {
  app "main" {
    command = ["/usr/bin/shop", "--listen", ":443", "--data", "/srv/shop"]
    user    = "www-data"
    cwd     = "/srv/shop"
    ready   = "notify"
    memory  = "1G"

    # The program reads the file "database" in the folder $CREDENTIALS_DIRECTORY.
    credentials = { database = secret("shop-db") }

    sandbox {
      read_write_paths = ["/srv/shop"]
      capabilities     = ["CAP_NET_BIND_SERVICE"]
    }

    check "http" "ready" {
      url = "https://localhost/health"
    }
  }
}

# A web application on an address of its own, with a worker beside it.

service "shop" {
  description = "The shop and its worker"

  ip "vip" {
    address   = "10.0.0.20/24"
    interface = "eth0"
  }

  app "web" {
    command = ["/usr/local/bin/shop", "--listen", hostport(ip.vip.host, 8080)]
    user    = "shop"
    cwd     = "/srv/shop"
    env     = { LOG = "info" }
    memory  = "512M"
    cpu     = 1.5
    pids    = 200
    rlimits = { nofile = "65536" }
    ready   = "check" # what is after it waits for its checks

    # It reads the file "database" in the folder $CREDENTIALS_DIRECTORY.
    credentials = { database = "postgres://shop:${secret("shop-db")}@db.example/shop" }

    sandbox { # what is not written here is safe
      read_write_paths = ["/srv/shop"]
    }

    check "http" "ready" {
      url   = "http://${hostport(ip.vip.host, 8080)}/health"
      every = "2s"
    }
  }

  app "worker" {
    command    = ["/usr/local/bin/shop-worker"]
    user       = "shop"
    after      = [app.web]
    kill_after = "1m" # it ends what it has begun

    restart {
      attempts = 5
      within   = "10m"
    }
  }

  app "legacy" {
    type    = "forking" # the command ends and leaves a daemon behind
    command = ["/usr/sbin/legacyd"]
    status  = ["/usr/sbin/legacyctl", "ping"]
    stop    = ["/usr/sbin/legacyctl", "shutdown"]
  }
}

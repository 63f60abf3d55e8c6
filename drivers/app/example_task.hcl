# A database that is dumped each night, while it runs here, and tidied up when asked.

service "orders" {
  mount "data" {
    device = "/dev/vg0/orders"
    path   = "/srv/orders"
    type   = "ext4"
  }

  app "db" {
    command = ["/usr/local/bin/ordersdb", "--data", mount.data.path]
    user    = "orders"
  }

  task "dump" {
    schedule = "30 2 * * *" # each night at half past two
    timezone = "Europe/Paris"
    spread   = "15m" # not on all nodes in the same second
    timeout  = "1h"
    missed   = "run" # a night with the host off is made up for
    command  = ["/usr/local/bin/orders-dump", "--to", "${mount.data.path}/dumps"]
    user     = "orders"
    env      = { DUMP_PASSWORD = secret("orders-dump") }
    after    = [app.db]
  }

  task "tidy" {
    schedule = "@every 15m"
    command  = ["/usr/bin/find", "${mount.data.path}/tmp", "-mmin", "+60", "-delete"]
  }

  task "reindex" { # no schedule: svcctl task run orders/task.reindex
    command = ["/usr/local/bin/orders-reindex"]
    user    = "orders"
    after   = [app.db]
  }
}

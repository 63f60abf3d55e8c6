# A PostgreSQL that must be the primary, let a client in, and hold enough orders.
service "orders-db" {
  app "postgres" {
    command = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/orders"]
    user    = "postgres"

    check "sql" "primary" {
      engine   = "postgres"
      socket   = "/run/postgresql"
      user     = "monitor"
      password = secret("orders-monitor")
      database = "orders"
      role     = "primary"
      query    = "SELECT count(*) > 0 FROM orders"
      expect   = "t"
      every    = "10s"
      timeout  = "3s"
      fall     = 3
    }
  }
}

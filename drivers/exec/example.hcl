# A database that is asked by its own tools.

service "db" {
  app "postgres" {
    command = ["/usr/lib/postgresql/17/bin/postgres", "-D", "/srv/pg"]
    user    = "postgres"
    ready   = "check"

    check "exec" "accepts" {
      command = ["/usr/bin/pg_isready", "-q", "-h", "127.0.0.1"]
      every   = "2s"
      timeout = "1s"
    }

    check "exec" "answers" {
      command = ["/usr/bin/psql", "-h", "127.0.0.1", "-U", "monitor", "-Atc", "select 1", "postgres"]
      user    = "postgres"
      env     = { PGPASSWORD = secret("pg-monitor") }
      every   = "30s"
      timeout = "5s"
      fall    = 2
      on_fall = "report" # it is shown, and the database is left alone
    }
  }
}

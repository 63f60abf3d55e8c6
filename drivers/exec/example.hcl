# A database that is asked by its own tools, and by one of the many plugins that Nagios made common.

service "store" {
  app "postgres" {
    command = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/pg"]
    user    = "postgres"
    ready   = "check"

    check "exec" "ready" {
      command = ["/usr/bin/pg_isready", "-q"]
      every   = "5s"
      timeout = "2s"
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

    check "exec" "load" {
      command = ["/usr/lib/nagios/plugins/check_load", "-r", "-w", "4,3,2", "-c", "8,6,4"]
      plugin  = "nagios"
      warning = "pass" # shown beside the check; CRITICAL and UNKNOWN fail
      every   = "1m"
      timeout = "10s"
      on_fall = "report"
    }
  }
}

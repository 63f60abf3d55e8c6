# One check of the program's own, and one of the many plugins that Nagios made common.
service "store" {
  app "postgres" {
    command = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/pg"]
    user    = "postgres"

    check "exec" "ready" {
      command = ["/usr/bin/pg_isready", "-q"]
      every   = "5s"
      timeout = "2s"
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

# A backup at three each night, after the database that it reads.
service "shop" {
  app "database" {
    command = ["/usr/lib/postgresql/17/bin/postgres", "-D", "/srv/postgres"]
    user    = "postgres"
  }

  task "backup" {
    command  = ["/usr/local/bin/backup", "/srv/postgres", "/backup"]
    user     = "postgres"
    after    = [app.database]
    schedule = "0 3 * * *"
    timezone = "Europe/Paris"
    timeout  = "2h"
    missed   = "run"

    sandbox {
      read_write_paths = ["/backup"]
    }
  }
}

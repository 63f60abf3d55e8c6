# ============================================================================
#  PostgreSQL, one primary that moves, and streaming replicas that stay.
#
#    n1  ----wal---->  n2          name  = "pg"
#     \----wal---->  n3            port  = 5432
#
#  SPDX-License-Identifier: MIT
# ============================================================================

variable "vip" {
  default     = "10.0.0.10/24"
  description = "Where clients find the primary"
}

locals {
  version = "16"
  bin     = "/usr/lib/postgresql/${local.version}/bin"
}

service "pg" {
  nodes      = ["n1", "n2"]
  on_failure = "relocate"

  mount "data" {
    device  = { n1 = "/dev/sdb1", n2 = "/dev/sdc1" }[node.name]
    path    = "/var/lib/postgresql/16/main"
    type    = "xfs"
    options = ["noatime", "nodiscard"]
  }

  mount "wal" {
    device = "/dev/vg0/wal"
    path   = "/var/lib/postgresql/16/main/pg_wal"
    type   = "ext4"
    after  = [mount.data]
  }

  ip "vip" {
    address   = var.vip
    interface = "bond0"
  }

  app "postgres" {
    command     = ["${local.bin}/postgres", "-D", mount.data.path, "-c", "config_file=/etc/postgresql/16/main/postgresql.conf", "-c", "hba_file=/etc/postgresql/16/main/pg_hba.conf"]
    user        = "postgres"
    after       = [mount.wal, ip.vip]
    stop_signal = "INT"
    kill_after  = "60s"
    env         = { PGPASSFILE = "/var/lib/postgresql/.pgpass", PGDATA = mount.data.path }

    restart {
      attempts = 3
      within   = "1m"
    }

    timeouts {
      start = "2m"
      stop  = "90s"
    }

    check "sql" "primary" {
      engine = "postgres"
      socket = "/var/run/postgresql"
      user   = "monitor"
      role   = "primary"
    }
  }

  task "basebackup" {
    schedule = "0 3 * * *"
    command  = ["/bin/sh", "-c", "${local.bin}/pg_basebackup -D /var/backups/pg/$(date +%F) -X stream && find /var/backups/pg -mtime +7 -delete"]
    user     = "postgres"
    after    = [app.postgres]
  }
}

service "pg-replica-n3" {
  nodes = ["n3"]

  app "postgres" {
    command = ["/usr/lib/postgresql/16/bin/postgres", "-D", "/var/lib/postgresql/16/main", "-c", "primary_conninfo=host=10.0.0.10 user=replicator passfile=/var/lib/postgresql/.pgpass"]
    user    = "postgres"

    check "sql" "replica" {
      engine  = "postgres"
      socket  = "/run/postgresql"
      user    = "monitor"
      role    = "replica"
      max_lag = "10s"
    }
  }
}

locals {
  script = <<-EOT
    #!/bin/sh
    # password = not here        token = "neither"
    set -eu
    user     = 1   # a comment      nodes = ["x"]
    exec /usr/bin/env FOO=/srv/nowhere/x "$@"
  EOT
  config = join("\n", [
    "listen = 8080",
    "data = /srv/config-data",
  ])
}

service "scripts" {
  mount "data" {
    device = "/dev/vg0/scripts"
    path   = "/srv/scripts"
    type   = "ext4"
  }

  app "main" {
    command      = ["/bin/bash", "-c", local.script]
    env          = { CONFIG = local.config, OPTS = "--a /srv/script --b", LD_LIBRARY_PATH = "/opt/x/lib:/usr/lib", JAVA_OPTS = "-Xmx1g -Djava.io.tmpdir=/tmp" }
    before_start = ["/bin/sh", "-c", "mkdir -p /run/scripts && chown nobody /run/scripts"]
    after        = [mount.data]
  }

  task "rotate" {
    schedule = "0 0 * * *"
    command  = ["/usr/sbin/logrotate", "-s", "/var/lib/logrotate/scripts.status", "/etc/logrotate.d/scripts"]
  }

  task "sync" {
    schedule = "@every 10m"
    command  = ["/usr/bin/rsync", "-a", "--delete", "--exclude=/tmp", "${mount.data.path}/", "backup@vault.example.org:/srv/backup/scripts/"]
  }
}

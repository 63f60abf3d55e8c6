locals {
  data = "/srv/nextcloud"
  env = {
    POSTGRES_HOST     = "127.0.0.1"
    POSTGRES_USER     = "nextcloud"
    NEXTCLOUD_TRUSTED = "cloud.example.org"
    OVERWRITEPROTOCOL = "https"
  }
}

service "nextcloud" {
  rto = "30s"

  mount "data" {
    device = "/dev/drbd0"
    path   = local.data
    type   = "ext4"
  }

  container "db" {
    image       = "docker.io/library/postgres:16"
    ports       = ["127.0.0.1:5433:5432"]
    volumes     = ["${local.data}/db:/var/lib/postgresql/data"]
    env         = { POSTGRES_PASSWORD_FILE = "/run/svcctl-credentials/db", POSTGRES_USER = "nextcloud" }
    credentials = { db = secret("nextcloud-db") }
    after       = [mount.data]
  }

  container "app" {
    image   = "docker.io/library/nextcloud:29-apache"
    ports   = ["127.0.0.1:8088:80"]
    volumes = ["${local.data}/html:/var/www/html", "${local.data}/files:/var/www/html/data"]
    env     = merge(local.env, { POSTGRES_PASSWORD = secret("nextcloud-db") })
    after   = [container.db]
  }

  task "cron" {
    schedule = "*/5 * * * *"
    command  = ["/usr/bin/docker", "exec", "-u", "www-data", container.app.name, "php", "-f", "/var/www/html/cron.php"]
  }
}

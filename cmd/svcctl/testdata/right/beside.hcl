# Folders beside mounts that are meant, and comments that give examples.
service "beside" {
  # before:     topology = "everywhere"
  #  on n1:    description = "one"
  mount "a" {
    device = "/dev/vg0/site-a"
    path   = "/srv/site-a"
    type   = "ext4"
  }

  mount "east" {
    device = "/dev/vg0/east"
    path   = "/srv/node-east"
    type   = "ext4"
  }

  app "x" {
    # Example:    user = "nobody"
    command = [
      "/usr/bin/x", mount.a.path, mount.east.path, "--peer=/srv/site-b", "--other=/srv/node-west",
      "--x", # default:    "y"
    ]
  }
}

service "shop" {
  mount "data" {
    device = "/dev/vg0/shop-data"
    path   = "/srv/shop/data"
    type   = "ext4"
  }

  mount "db" {
    device = "/dev/vg0/shop-db"
    path   = "/srv/shop/db"
    type   = "ext4"
  }

  mount "mysql" {
    device = "/dev/vg0/mysql"
    path   = "/var/lib/mysql"
    type   = "ext4"
  }

  container "shop" {
    image = "docker.io/library/shop:1"
    volumes = [
      "${mount.data.path}:/data", "${mount.db.path}:/db", "/srv/shop/conf.d:/conf:ro", "/srv/shop/nginx.conf:/n:ro",
      "/srv/shop/certs:/certs:ro", "/srv/shop/logs:/logs", "${mount.mysql.path}:/var/lib/mysql", "/var/lib/mysqld:/run/mysqld",
    ]
  }
}

service "model" {
  app "serve" {
    command = ["/usr/bin/docker", "run", "--name", "mysql", "-p3306:3306", "mysql:8"]
    env     = { MAX_TOKEN = "4096", PAD_TOKEN = "[PAD]", K8S_TLS_SECRET = "web-tls", FORGOT_PASSWORD = "https://example.org/forgot", NO_PASSWORD = "0" }
  }
}

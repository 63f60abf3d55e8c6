service "wordpress-db" {
  nodes = ["n1", "n2"]

  mount "db" {
    device = "UUID=0b1e5a6e-1111-4d6a-9a36-7d5c4c3c0f01"
    path   = "/srv/wordpress-db"
    type   = "ext4"
  }

  ip "db" {
    address   = "10.0.1.5/24"
    interface = "eth0"
  }

  container "mariadb" {
    image       = "docker.io/library/mariadb:11.4"
    volumes     = ["${mount.db.path}:/var/lib/mysql", "/etc/wordpress/my.cnf:/etc/mysql/conf.d/my.cnf:ro"]
    ports       = ["${ip.db.host}:3306:3306"]
    env         = { MARIADB_ROOT_PASSWORD_FILE = "/run/svcctl-credentials/root", MARIADB_DATABASE = "wordpress", MARIADB_RANDOM_ROOT_PASSWORD = "no" }
    credentials = { root = secret("mariadb-root") }
    command     = ["--character-set-server=utf8mb4", "--skip-name-resolve"]
  }

  task "dump" {
    schedule = "30 2 * * *"
    command = ["/bin/sh", "-ec", <<-EOT
      # name = value is no argument here
      umask = 077 # nor is this
      mysqldump --defaults-file=/etc/wordpress/backup.cnf --single-transaction wordpress |
        gzip > /var/backups/wordpress.sql.gz
    EOT
    ]
    after = [container.mariadb]
  }
}

service "wordpress" {
  nodes    = ["n1", "n2"]
  requires = ["wordpress-db"]

  mount "uploads" {
    type    = "nfs4"
    device  = "nas.example.org:/export/wordpress/uploads"
    path    = "/srv/wordpress/uploads"
    options = ["noatime", "vers=4.2"]
  }

  ip "www" {
    address   = "10.0.1.6/24"
    interface = "eth0"
  }

  container "php" {
    image   = "docker.io/library/wordpress:6-fpm"
    volumes = ["wordpress-code:/var/www/html", "${mount.uploads.path}:/var/www/html/wp-content/uploads"]
    env = {
      WORDPRESS_DB_HOST     = "10.0.1.5"
      WORDPRESS_DB_USER     = "wordpress"
      WORDPRESS_DB_PASSWORD = secret("wordpress-db")
    }
    ports = ["127.0.0.1:9000:9000"]
  }

  container "nginx" {
    image   = "docker.io/library/nginx:1.27"
    volumes = ["wordpress-code:/var/www/html:ro", "${mount.uploads.path}:/var/www/html/wp-content/uploads:ro", "/etc/wordpress/nginx.conf:/etc/nginx/nginx.conf:ro"]
    ports   = ["${ip.www.host}:80:80", "${ip.www.host}:443:443/tcp", "${ip.www.host}:443:443/udp"]
    after   = [container.php]

    check "http" "page" {
      url = "http://${ip.www.host}/wp-login.php"
    }
  }
}

# The same share again, read-only, for a job elsewhere on these nodes.
service "wordpress-scan" {
  nodes = ["n1", "n2"]

  mount "uploads" {
    type    = "nfs4"
    device  = "nas.example.org:/export/wordpress/uploads"
    path    = "/srv/scan/uploads"
    options = ["ro"]
  }

  task "scan" {
    schedule = "@daily"
    command  = ["/usr/bin/clamscan", "-r", mount.uploads.path]
  }
}

service "orders" {
  description = "Orders, in a container on a disk and an address of their own"

  mount "data" {
    device = "/dev/vg0/orders"
    path   = "/srv/orders"
    type   = "ext4"
  }

  ip "vip" {
    address   = "10.0.0.10/24"
    interface = "eth0"
  }

  container "db" {
    image       = "docker.io/library/postgres:17"
    ports       = [hostport(ip.vip.host, "5432:5432")]
    volumes     = ["${mount.data.path}:/var/lib/postgresql/data"]
    env         = { POSTGRES_PASSWORD_FILE = "/run/svcctl-credentials/password" }
    credentials = { password = secret("orders-db") }
    user        = "999:999"
    memory      = "2G"
    pids        = 512
    read_only   = true
    tmpfs       = ["/tmp", "/run/postgresql:uid=999"]
    cap_drop    = ["ALL"]
    stop_signal = "INT"
    kill_after  = "60s"
    ready       = "healthy"

    healthcheck {
      command = ["pg_isready", "-U", "postgres"]
      every   = "5s"
      timeout = "3s"
    }

    timeouts {
      start = "2m"
      stop  = "90s"
    }
  }
}

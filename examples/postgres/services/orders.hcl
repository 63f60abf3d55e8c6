# A database on its own file system and its own address: everything that would move
# with it to another node.

variable "image" {
  default = "/var/tmp/svcctl-orders.img"
}

variable "path" {
  default = "/srv/svcctl-orders"
}

variable "address" {
  default = "10.77.0.10/24"
}

variable "interface" {
  default = "pg0" # README.md makes it
}

# svcctl:ignore SV0402 this database holds nothing, and everybody may know how to read it
variable "password" {
  default = "an example, so everybody may know it"
}

service "orders" {
  description = "Orders database"

  loop "disk" {
    file = var.image
    size = "400M" # of a file that is missing; sparse
  }

  mount "data" {
    device = loop.disk.device
    path   = var.path
    type   = "ext4"
    mkfs   = true # only on a blank device
    owner  = "postgres"
    mode   = "0700"
  }

  ip "vip" {
    address   = var.address
    interface = var.interface
  }

  app "postgres" {
    command     = ["/bin/sh", "-c", file("postgres.sh"), "postgres.sh", mount.data.path, ip.vip.host]
    user        = "postgres"
    env         = { PGPASSWORD = var.password }
    stop_signal = "INT" # ends sessions; TERM would wait for them
    kill_after  = "30s"
    ready       = "check"

    timeouts {
      start = "2m" # the first one makes the database
      stop  = "1m"
    }

    check "tcp" "port" {
      address = hostport(ip.vip.host, 5432)
      every   = "1s"
      timeout = "500ms"
    }

    check "exec" "query" {
      command = ["psql", "-X", "-q", "-w", "-c", "select 1"]
      user    = "postgres"
      env     = { PGHOST = ip.vip.host, PGPASSWORD = var.password, PGCONNECT_TIMEOUT = "2" }
      every   = "3s"
      timeout = "2s"
    }
  }
}

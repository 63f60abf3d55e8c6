service "primary" {
  container "redis" {
    image = "docker.io/library/redis:7"
    ports = ["6379:6379"]
    name  = "redis"
  }
}

service "secondary" {
  apart = ["primary"]

  container "redis" {
    image   = "docker.io/library/redis:7"
    command = ["redis-server", "--replicaof", "redis-primary.example.org", "6379"]
    ports   = ["6379:6379"]
    name    = "redis"
  }
}

service "sentinel" {
  topology = "everywhere"

  systemd "sentinel" {
    unit = "redis-sentinel.service"
  }
}

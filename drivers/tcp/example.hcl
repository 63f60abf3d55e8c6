# A cache that must accept connections, and say who is master to whom knows the password.

service "cache" {
  app "redis" {
    command = ["/usr/bin/redis-server", "/etc/redis/cache.conf"]
    user    = "redis"
    ready   = "check"

    check "tcp" "accepts" {
      address = "127.0.0.1:6379"
      every   = "1s"
      timeout = "500ms"
    }

    check "tcp" "master" {
      address = "127.0.0.1:6379"
      send    = "AUTH ${secret("redis")}\r\nROLE\r\n"
      expect  = "master"
      on_fall = "report"
    }
  }
}

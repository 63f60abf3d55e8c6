# A container's words in an app: the kind is the one mistake.
service "web" {
  app "nginx" {
    image = "nginx:1.27"
#   ^^^^^ SV0104 app has no argument "image"
  }

  app "api" {
    command = ["/usr/bin/api"]
    ports   = ["80:80"]
#   ^^^^^ SV0104 app has no argument "ports"
    volumes = ["/srv:/srv"]
#   ^^^^^^^ SV0104 app has no argument "volumes"
  }

  app "worker" {
    command     = ["/usr/bin/worker"]
    depends_on  = [app.api]
#   ^^^^^^^^^^ SV0104 app has no argument "depends_on"
    environment = { LOG = "info" }
#   ^^^^^^^^^^^ SV0104 app has no argument "environment"
    working_dir = "/srv"
#   ^^^^^^^^^^^ SV0104 app has no argument "working_dir"
  }

  app "shell" {
    command = "/usr/sbin/nginx -g daemon"
#             ^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0302 "command" must be a list of texts
    restart = "always"
#   ^^^^^^^ SV0111 "restart" is a block, not an argument
  }

  container "db" {
    image       = "docker.io/library/postgres:17"
    ports       = "5432:5432"
#                 ^^^^^^^^^^^ SV0302 "ports" must be a list of texts
    restart     = "unless-stopped"
#   ^^^^^^^ SV0111 "restart" is a block, not an argument
    mem_limit   = "2G"
#   ^^^^^^^^^ SV0104 container has no argument "mem_limit"
    stop_grace_period = "30s"
#   ^^^^^^^^^^^^^^^^^ SV0104 container has no argument "stop_grace_period"
    healthcheck {
      test     = ["CMD", "pg_isready"]
#     ^^^^ SV0104 healthcheck has no argument "test"
      interval = "5s"
#     ^^^^^^^^ SV0104 healthcheck has no argument "interval"
      retries  = 3
    }
  }

  container "cache" {
    image = "docker.io/library/redis:7"
    environment {
#   ^^^^^^^^^^^ SV0108 container has no block "environment"
      A = "b"
    }
    env        = ["TZ=UTC", "A=b"]
#                ^^^^^^^^^^^^^^^^^ SV0302 "env" must be a map of texts
    privileged = True
#                ^^^^ SV0208 nothing is called "True"
    read_only  = "yes"
#                ^^^^^ SV0302 "read_only" must be true or false
  }

  docker "old" {
# ^^^^^^ SV0205 no kind "docker"
    image = "nginx"
  }
}

volumes "data" {
^^^^^^^ SV0103 no block "volumes" at the top level
}

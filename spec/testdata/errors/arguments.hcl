service "args" {
  nodse = ["n1"]
# ^^^^^ SV0104 service has no argument "nodse"

  mount "data" {
    devise = "/dev/sdb"
#   ^^^^^^ SV0104 mount has no argument "devise"
    path   = "/srv"
  }

  mount "bare" {
# ^^^^^ SV0105 mount needs "device"
# ^^^^^ SV0105 mount needs "path"
  }

  mount "two" {
    device = "/dev/sdb"
    path   = "/srv"
    path   = "/srv/b"
#   ^^^^ SV0102 "path" is set twice
  }

  app "block" {
    command = ["/bin/true"]
    env {
#   ^^^ SV0110 "env" is an argument, not a block
      LOG = "info"
    }
  }

  app "argument" {
    command = ["/bin/true"]
    restart = {
#   ^^^^^^^ SV0111 "restart" is a block, not an argument
      attempts = 3
    }
  }

  app "unknown_block" {
    command = ["/bin/true"]
    limits {
#   ^^^^^^ SV0108 app has no block "limits"
      name = "nofile"
    }
  }

  app "twice" {
    command = ["/bin/true"]
    log {
      files = 3
    }
    log {
#   ^^^ SV0106 app takes one block "log"
      files = 4
    }
  }

  app "nested" {
    command = ["/bin/true"]
    limit {
#   ^^^^^ SV0105 limit needs "name"
      soft = 3
    }
    limit {
      name = "nofile"
      hard = 3
#     ^^^^ SV0104 limit has no argument "hard"
    }
  }

  app "labelled" {
    command = ["/bin/true"]
    log "x" {
#       ^^^ SV0107 log takes no label
    }
  }

  requires {
# ^^^^^^^^ SV0110 "requires" is an argument, not a block
  }
}

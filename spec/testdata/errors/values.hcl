service "values" {
  topology   = "failovr"
#              ^^^^^^^^^ SV0304 "failovr" is no value for "topology"
  rto        = 10
#              ^^ SV0303 "10" is no duration
  rpo        = "-1s"
#              ^^^^^ SV0305 "rpo" must be 0s or longer
  memory     = "512Q"
#              ^^^^^^ SV0306 "512Q" is no size
  cpu        = "many"
#              ^^^^^^ SV0302 "cpu" must be a number
  nodes      = "n1"
#              ^^^^ SV0302 "nodes" must be a list of texts

  app "types" {
    command = "/bin/true"
#             ^^^^^^^^^^^ SV0302 "command" must be a list of texts
    env     = ["a"]
#             ^^^^^ SV0302 "env" must be a map of texts
    nice    = 1.5
#             ^^^ SV0305 "nice" must be a whole number within reach
    user    = ["root"]
#             ^^^^^^^^ SV0302 "user" must be text
    ready   = "checks"
#             ^^^^^^^^ SV0304 "checks" is no value for "ready"
    linger  = "1d"
#             ^^^^ SV0303 "1d" is no duration
    port    = "http"
#             ^^^^^^ SV0302 "port" must be a number
    monitor = "maybe"
#             ^^^^^^^ SV0302 "monitor" must be true or false
  }

  app "holes" {
    command = ["/bin/true", null]
#                           ^^^^ SV0307 "command" holds null
    env     = { A = null }
#                   ^^^^ SV0307 "env" holds null
    linger  = true
#             ^^^^ SV0302 "linger" must be a duration
    memory_max = -5
#                ^^ SV0305 "memory_max" must be a whole number of bytes
  }

  app "null" {
    command = null
#             ^^^^ SV0105 app needs "command"
  }

  mount "data" {
    device = "/dev/sdb"
    path   = "srv"
#            ^^^^^ SV0309 a mount point is an absolute path
  }

  ip "vip" {
    address   = "10.0.0.1"
#               ^^^^^^^^^^ SV0309 not an address with a prefix length
    interface = "eth0"
  }

  app "timeouts" {
    command = ["/bin/true"]
    timeouts {
      start = "0s"
#             ^^^^ SV0309 "start" must be longer than 0s
    }
  }

  app "restart" {
    command = ["/bin/true"]
    restart {
      attempts = -1
#                ^^ SV0309 "attempts" must be at least 0
      backoff  = "1m"
#                ^^^^ SV0309 "backoff" is longer than "max"
    }
    timeouts {
      stop = "10"
#            ^^^^ SV0303 "10" is no duration
    }
  }
}

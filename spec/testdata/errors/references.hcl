variable "vip" {
  default = "10.0.0.1/24"
}

locals {
  user   = "nobody"
  broken = var.vpi
#          ^^^^^^^ SV0207 var.vpi is not defined
  chain  = local.broken    # what follows from a mistake is no second one
  x      = "${local.y}"
# ^ SV0215 values are made of each other: local.x → local.y → local.x
  y      = local.x
  zero   = 1 / "a"
#              ^^^ SV0301 invalid operand
}

service "references" {
  ip "vip" {
    address   = var.vip
    interface = "eth0"
  }

  mount "data" {
    device = "/dev/sdb"
    path   = "/srv"
  }

  app "broken" {
    command = [local.broken, local.chain, local.x, local.zero]
  }

  app "reads_broken" {
    command = ["${app.broken.port}"]
  }

  app "names" {
    command = [mount.dat.path]
#              ^^^^^^^^^ SV0209 no resource mount.dat in service "references"
    user    = local.usr
#             ^^^^^^^^^ SV0207 local.usr is not defined
    env     = { A = user, B = ip.vip.hots }
#                   ^^^^ SV0208 nothing is called "user"
#                                    ^^^^ SV0210 ip.vip has no field "hots" to read
    ready   = nodes.name
#             ^^^^^ SV0208 nothing is called "nodes"
    nice    = each.key
#             ^^^^^^^^ SV0219 each.* outside for_each
    port    = var.user
#             ^^^^^^^^ SV0207 var.user is not defined
    linger  = mount.data.options
#                        ^^^^^^^ SV0210 mount.data has no field "options" to read
    tags    = [node.nmae, cluster.id, self.port]
#                   ^^^^ SV0221 node has no "nmae"
#                                 ^^ SV0221 cluster has no "id"
#                                     ^^^^ SV0208 nothing is called "self"
  }

  app "functions" {
    command = [uper("a"), env("HOME")]
#              ^^^^ SV0222 no function "uper"
#                         ^^^ SV0223 env() is not available in service files
    user    = upper()
#                   ^ SV0301 not enough function arguments
    env     = { A = file("../x") }
#                   ^^^^ SV0301 file() has no result
    nice    = tonumber("1e99999")
#                       ^^^^^^^ SV0301 invalid function argument
    tags    = [format("%99999s", "")]
#                      ^^^^^^^ SV0301 invalid function argument
    ready   = file("missing.txt")
#             ^^^^ SV0301 file() has no result
  }

  app "after" {
    command = ["/bin/true"]
    after   = ["mount.data", mount.dta, local.user, mount.data.path]
#              ^^^^^^^^^^^^ SV0216 a reference is written without quotes
#                            ^^^^^^^^^ SV0209 no resource mount.dta in service "references"
#                                       ^^^^^^^^^^ SV0217 "after" takes a list of resources
#                                                   ^^^^^^^^^^^^^^^ SV0217 "after" takes a list of resources
  }

  app "after_alone" {
    command = ["/bin/true"]
    after   = mount.data
#             ^^^^^^^^^^ SV0217 "after" takes a list of resources
  }

  mont "typo" {
# ^^^^ SV0205 no kind "mont"
    device = "/dev/sdb"
  }

  app "of_typo" {
    command = ["${mount.typo.path}"]
  }

  http "x" {
# ^^^^ SV0205 no kind "http"
  }

  app "main" {
    command = ["/bin/true"]
    check "htpp" "a" {
#         ^^^^^^ SV0206 no check "htpp"
      url = "http://localhost"
    }
    check "http" "b" {
      url     = "http://localhost"
      every   = "1s"
      timeout = "3s"
#               ^^^^ SV0309 "timeout" is longer than "every"
      fall    = 0
#               ^ SV0309 "fall" must be at least 1
    }
    check "http" "b" {
#                ^^^ SV0203 check "b" is declared twice
      url = "http://localhost"
    }
    check "http" {
#   ^^^^^ SV0107 check takes two labels, its kind and its name
      url = "http://localhost"
    }
    check "tcp" "c" {
      addres  = "x"
#     ^^^^^^ SV0104 check "tcp" has no argument "addres"
      on_fall = "restarted"
#               ^^^^^^^^^^^ SV0304 "restarted" is no value for "on_fall"
    }
  }

  app "main" {
#     ^^^^^^ SV0202 app.main is declared twice
    command = ["/bin/true"]
  }

  app {
# ^^^ SV0107 app takes one label, its name
  }
}

service "no name" {
#       ^^^^^^^^^ SV0109 "no name" is no name for a service
  topology = "failovr"
#            ^^^^^^^^^ SV0304 "failovr" is no value for "topology"
  requires = ["gone"]
#             ^^^^^^ SV0211 no service "gone"
  app "a" {
    command = "/bin/true"
#             ^^^^^^^^^^^ SV0302 "command" must be a list of texts
    user    = "${service.name}-1"
  }
  mount "m" {
# ^^^^^ SV0105 mount needs "device"
    path = app.b.port
#          ^^^^^ SV0209 no resource app.b in service "no name"
  }
}

service {
^^^^^^^ SV0107 service takes one label, its name
  app "a" {
# ^^^ SV0105 app needs "command"
  }
}

service "one" "two" {
#             ^^^^^ SV0107 service takes one label, its name
  drill "wrong" {
# ^^^^^ SV0105 drill needs "schedule"
  }
}

service "space" {
  namespace = "a/b"
#             ^^^^^ SV0109 "a/b" is no name for a namespace
  requires  = ["missing"]
  with      = ["default/reader", "default/missing"]
#                                ^^^^^^^^^^^^^^^^^ SV0211 no service "missing"
}

service "undefined" {
  namespace = var.none
#             ^^^^^^^^ SV0207 var.none is not defined
}

service "misspelt" {
  namspace = "elsewhere"
# ^^^^^^^^ SV0104 service has no argument "namspace"
}

service "reader" {
  requires = ["space", "a/space", "no name", "one", "undefined", "elsewhere/misspelt"]
}

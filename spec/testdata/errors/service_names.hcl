service "no name" { # ERROR: SV0109 "no name" is no name for a service
  topology = "failovr" # ERROR: SV0304 "failovr" is no value for "topology"
  requires = ["gone"]  # ERROR: SV0211 no service "gone"
  app "a" {
    command = "/bin/true" # ERROR: SV0302 "command" must be a list of texts
    user    = "${service.name}-1"
  }
  mount "m" { # ERROR: SV0105 mount needs "device"
    path = app.b.port # ERROR: SV0209 no resource app.b in service "no name"
  }
}

service { # ERROR: SV0107 service takes one label, its name
  app "a" { # ERROR: SV0105 app needs "command"
  }
}

service "one" "two" { # ERROR: SV0107 service takes one label, its name
  drill "wrong" { # ERROR: SV0105 drill needs "schedule"
  }
}

service "space" {
  namespace = "a/b" # ERROR: SV0109 "a/b" is no name for a namespace
  requires  = ["missing"]
  with      = ["default/reader", "default/missing"] # ERROR: SV0211 no service "missing"
}

service "undefined" {
  namespace = var.none # ERROR: SV0207 var.none is not defined
}

service "misspelt" {
  namspace = "elsewhere" # ERROR: SV0104 service has no argument "namspace"
}

service "reader" {
  requires = ["space", "a/space", "no name", "one", "undefined", "elsewhere/misspelt"]
}

service "numbers" {
  count        = 0  # ERROR: SV0309 "count" must be at least 1
  topology     = "scaled"
  max_per_node = -1 # ERROR: SV0309 "max_per_node" must be at least 0
  nodes        = [] # ERROR: SV0309 "nodes" names no node
  placement {
    budget = -1 # ERROR: SV0309 "budget" must be at least 0
  }
}

service "count" {
  count = 2 # ERROR: SV0311 "count" has no effect on topology "failover"
}

service "twice" {
  nodes = ["n1", "n1", "n 2"] # ERROR: SV0309 node "n1" is named twice # ERROR: SV0309 "n 2" is no name of a node
}

service "node" {
  description = node.name # ERROR: SV0218 node.* can't be read here
  nodes       = [service.name] # ERROR: SV0218 service.* can't be read here
  requires    = ["self"]
}

service "self" {
  requires = ["self"] # ERROR: SV0212 service "self" names itself in "requires"
  with     = ["count"]
  apart    = ["count"] # ERROR: SV0224 service "count" is in both "with" and "apart"
}

service "near" {
  requires = ["cuont", "number"] # ERROR: SV0211 no service "cuont" # ERROR: SV0211 no service "number"
  with     = ["prod/count"]      # ERROR: SV0211 no service "prod/count"
}

service "near" { # ERROR: SV0201 service "near" is declared twice
}

service "bad name" { # ERROR: SV0109 "bad name" is no name for a service
}

service { # ERROR: SV0107 service takes one label, its name
}

service "space" {
  namespace = "a/b" # ERROR: SV0109 "a/b" is no name for a namespace
}

service "later" {
  reload { # ERROR: SV0113 "reload" is accepted and has no effect in this version
    confirm = "1m"
  }
  drill "weekly" { # ERROR: SV0113 "drill" is accepted and has no effect in this version
    schedule = "0 3 * * 0"
  }
  drill "wrong" { # ERROR: SV0105 drill needs "schedule"
  }
}

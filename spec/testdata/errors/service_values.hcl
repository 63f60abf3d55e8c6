service "numbers" {
  count        = 0
#                ^ SV0309 "count" must be at least 1
  topology     = "scaled"
  max_per_node = -1
#                ^^ SV0309 "max_per_node" must be at least 0
  nodes        = []
#                ^^ SV0309 "nodes" names no node
  placement {
    budget = -1
#            ^^ SV0309 "budget" must be at least 0
  }
}

service "count" {
  count = 2
# ^^^^^ SV0311 "count" has no effect on topology "failover"
}

service "twice" {
  nodes = ["n1", "n1", "n 2"]
#                ^^^^ SV0309 node "n1" is named twice
#                      ^^^^^ SV0309 "n 2" is no name of a node
}

service "node" {
  description = node.name
#               ^^^^^^^^^ SV0218 node.* can't be read here
  nodes       = [service.name]
#                ^^^^^^^^^^^^ SV0218 service.* can't be read here
  requires    = ["self"]
}

service "self" {
  requires = ["self"]
#             ^^^^^^ SV0212 service "self" names itself in "requires"
  with     = ["count"]
  apart    = ["count"]
#             ^^^^^^^ SV0224 service "count" is in both "with" and "apart"
}

service "near" {
  requires = ["cuont", "number"]
#             ^^^^^^^ SV0211 no service "cuont"
#                      ^^^^^^^^ SV0211 no service "number"
  with     = ["prod/count"]
#             ^^^^^^^^^^^^ SV0211 no service "prod/count"
}

service "near" {
#       ^^^^^^ SV0201 service "near" is declared twice
}

service "bad name" {
#       ^^^^^^^^^^ SV0109 "bad name" is no name for a service
}

service {
^^^^^^^ SV0107 service takes one label, its name
}

service "space" {
  namespace = "a/b"
#             ^^^^^ SV0109 "a/b" is no name for a namespace
}

service "later" {
  reload {
# ^^^^^^ SV0113 "reload" is accepted and has no effect in this version
    confirm = "1m"
  }
  drill "weekly" {
# ^^^^^ SV0113 "drill" is accepted and has no effect in this version
    schedule = "0 3 * * 0"
  }
  drill "wrong" {
# ^^^^^ SV0105 drill needs "schedule"
  }
}

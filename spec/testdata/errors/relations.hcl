# What services want of each other and can't have.
service "database" {
  nodes       = ["n1", "n2"]
  orchestrate = "manual"
  app "main" {
    command = ["/usr/bin/database"]
  }
}

service "api" { # database comes up when somebody asks for it
  requires = ["database", "empty", "cache"]
#             ^^^^^^^^^^ SV0512 service "database" is started by hand only
#                         ^^^^^^^ SV0512 service "empty" starts nothing
  with     = ["cache"]
  apart    = ["web"]
#             ^^^^^ SV0511 services "api" and "web" are to share a node, and to be apart
  app "main" {
    command = ["/usr/bin/api"]
  }
}

service "cache" {
  nodes = ["n3"]
  with  = ["web"]
  app "main" {
    command = ["/usr/bin/cache"]
  }
}

service "web" {
  nodes = ["n3", "n4"]
  app "main" {
    command = ["/usr/bin/web"]
  }
}

service "far" {
  nodes = ["n9"]
  with  = ["web"]
#          ^^^^^ SV0511 services "far" and "web" have no node in common
  apart = ["lone"]
#          ^^^^^^ SV0511 services "far" and "lone" are apart on one node
  app "main" {
    command = ["/usr/bin/far"]
  }
}

service "lone" {
  nodes = ["n9"]
  app "main" {
    command = ["/usr/bin/lone"]
  }
}

service "late" {
  nodes = ["n4"]
  with  = ["api"]
#          ^^^^^ SV0511 no node is left for "late" with "api"
  app "main" {
    command = ["/usr/bin/late"]
  }
}

service "empty" {
  app "old" {
    command  = ["/usr/bin/old"]
    disabled = true
  }
}

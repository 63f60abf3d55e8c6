service "db" {
  nodes = ["n1", "n2"]
  app "db" {
    command = ["/usr/local/bin/db"]
  }
}

service "cache" {
  nodes = ["n2", "n1", "n3"]
  with  = ["db"]
  app "cache" {
    command = ["/usr/local/bin/cache"]
  }
}

service "web" {
  nodes    = ["n1", "n2", "n3"]
  requires = ["db", "cache"]
  with     = ["cache"]
  apart    = ["batch"]
  app "web" {
    command = ["/usr/local/bin/web"]
  }
}

service "batch" {
  nodes       = ["n3", "n2"]
  orchestrate = "start"
  requires    = ["db"]
  app "batch" {
    command = ["/usr/local/bin/batch"]
  }
}

service "repair" {
  orchestrate = "manual"
  requires    = ["db"]
  app "repair" {
    command = ["/usr/local/bin/repair"]
  }
}

service "repair-web" {
  orchestrate = "manual"
  requires    = ["repair"]
  app "web" {
    command = ["/usr/local/bin/repair-web"]
  }
}

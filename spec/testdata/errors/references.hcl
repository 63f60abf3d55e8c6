variable "vip" {
  default = "10.0.0.1/24"
}

locals {
  user   = "nobody"
  broken = var.vpi         # ERROR: SV0207 var.vpi is not defined
  chain  = local.broken    # what follows from a mistake is no second one
  x      = "${local.y}"    # ERROR: SV0215 values are made of each other: local.x → local.y → local.x
  y      = local.x
  zero   = 1 / "a"         # ERROR: SV0301 invalid operand
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
    command = [mount.dat.path]                  # ERROR: SV0209 no resource mount.dat in service "references"
    user    = local.usr                         # ERROR: SV0207 local.usr is not defined
    env     = { A = user, B = ip.vip.hots }     # ERROR: SV0208 nothing is called "user" # ERROR: SV0210 ip.vip has no field "hots" to read
    ready   = nodes.name                        # ERROR: SV0208 nothing is called "nodes"
    nice    = each.key                          # ERROR: SV0219 each.* outside for_each
    port    = var.user                          # ERROR: SV0207 var.user is not defined
    linger  = mount.data.options                # ERROR: SV0210 mount.data has no field "options" to read
    tags    = [node.nmae, cluster.id, self.port] # ERROR: SV0221 node has no "nmae" # ERROR: SV0221 cluster has no "id" # ERROR: SV0208 nothing is called "self"
  }

  app "functions" {
    command = [uper("a"), env("HOME")] # ERROR: SV0222 no function "uper" # ERROR: SV0223 env() is not available in service files
    user    = upper()                  # ERROR: SV0301 not enough function arguments
    env     = { A = file("../x") }     # ERROR: SV0301 error in function call
    nice    = tonumber("1e99999")      # ERROR: SV0301 invalid function argument
    tags    = [format("%99999s", "")]  # ERROR: SV0301 invalid function argument
    ready   = file("missing.txt")      # ERROR: SV0301 error in function call
  }

  app "after" {
    command = ["/bin/true"]
    after   = ["mount.data", mount.dta, local.user, mount.data.path] # ERROR: SV0216 a reference is written without quotes # ERROR: SV0209 no resource mount.dta in service "references" # ERROR: SV0217 "after" takes a list of resources # ERROR: SV0217 "after" takes a list of resources
  }

  app "after_alone" {
    command = ["/bin/true"]
    after   = mount.data # ERROR: SV0217 "after" takes a list of resources
  }

  mont "typo" { # ERROR: SV0205 no kind "mont"
    device = "/dev/sdb"
  }

  app "of_typo" {
    command = ["${mount.typo.path}"]
  }

  http "x" { # ERROR: SV0205 no kind "http"
  }

  app "main" {
    command = ["/bin/true"]
    check "htpp" "a" { # ERROR: SV0206 no check "htpp"
      url = "http://localhost"
    }
    check "http" "b" {
      url     = "http://localhost"
      every   = "1s"
      timeout = "3s" # ERROR: SV0309 "timeout" is longer than "every"
      fall    = 0    # ERROR: SV0309 "fall" must be at least 1
    }
    check "http" "b" { # ERROR: SV0203 check "b" is declared twice
      url = "http://localhost"
    }
    check "http" { # ERROR: SV0107 check takes two labels, its kind and its name
      url = "http://localhost"
    }
    check "tcp" "c" {
      addres  = "x"         # ERROR: SV0104 check "tcp" has no argument "addres"
      on_fall = "restarted" # ERROR: SV0304 "restarted" is no value for "on_fall"
    }
  }

  app "main" { # ERROR: SV0202 app.main is declared twice
    command = ["/bin/true"]
  }

  app { # ERROR: SV0107 app takes one label, its name
  }
}

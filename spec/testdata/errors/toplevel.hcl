name = "x" # ERROR: SV0115 no argument "name" at the top level

servce "x" { # ERROR: SV0103 no block "servce" at the top level
}

mount "x" { # ERROR: SV0103 no block "mount" at the top level
}

fence "n1" { # ERROR: SV0112 "fence" belongs in cluster.hcl
}

variable "empty" { # ERROR: SV0105 variable needs "default"
}

variable "near" {
  defualt = 1 # ERROR: SV0104 variable has no argument "defualt"
}

variable "typed" {
  type    = string # ERROR: SV0104 variable has no argument "type"
  default = 1
}

variable "twice" {
  default = 1
}

variable "twice" { # ERROR: SV0204 var.twice is defined twice in this folder
  default = 2
}

variable { # ERROR: SV0107 variable takes one label, its name
  default = 1
}

variable "1st" { # ERROR: SV0109 "1st" is no name for a variable
  default = 1
}

locals "x" { # ERROR: SV0107 locals takes no label
  a = 1
}

locals {
  b { # ERROR: SV0108 locals has no block "b"
  }
}

assert {
  condition = var.twice == 2 # ERROR: SV0310 assertion failed
  message   = "it must be two"
}

assert {
  condition = "x" # ERROR: SV0302 "condition" must be true or false
  message   = "no"
}

assert { # ERROR: SV0105 assert needs "message"
  condition = true
}

service "inner" {
  variable "x" { # ERROR: SV0205 no kind "variable"
    default = 1
  }
  restart { # ERROR: SV0205 no kind "restart"
  }
  mount "a.b" { # ERROR: SV0109 "a.b" is no name for a resource
    device = "/dev/sdb"
    path   = "/srv"
  }
  placement {
    by = "random" # ERROR: SV0304 "random" is no value for "by"
  }
  placement { # ERROR: SV0106 service takes one block "placement"
  }
}

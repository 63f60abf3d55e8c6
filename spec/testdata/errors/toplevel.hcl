name = "x"
^^^^ SV0115 no argument "name" at the top level

servce "x" {
^^^^^^ SV0103 no block "servce" at the top level
}

mount "x" {
^^^^^ SV0103 no block "mount" at the top level
}

fence "n1" {
^^^^^ SV0112 "fence" belongs in cluster.hcl
}

variable "empty" {
^^^^^^^^ SV0105 variable needs "default"
}

variable "near" {
  defualt = 1
# ^^^^^^^ SV0104 variable has no argument "defualt"
}

variable "typed" {
  type    = string
# ^^^^ SV0104 variable has no argument "type"
  default = 1
}

variable "twice" {
  default = 1
}

variable "twice" {
#        ^^^^^^^ SV0204 var.twice is defined twice in this folder
  default = 2
}

variable {
^^^^^^^^ SV0107 variable takes one label, its name
  default = 1
}

variable "1st" {
#        ^^^^^ SV0109 "1st" is no name for a variable
  default = 1
}

locals "x" {
#      ^^^ SV0107 locals takes no label
  a = 1
}

locals {
  b {
# ^ SV0108 locals has no block "b"
  }
}

assert {
  condition = var.twice == 2
#             ^^^^^^^^^^^^^^ SV0310 assertion failed
  message   = "it must be two"
}

assert {
  condition = "x"
#             ^^^ SV0302 "condition" must be true or false
  message   = "no"
}

assert {
^^^^^^ SV0105 assert needs "message"
  condition = true
}

service "inner" {
  variable "x" {
# ^^^^^^^^ SV0205 no kind "variable"
    default = 1
  }
  restart {
# ^^^^^^^ SV0205 no kind "restart"
  }
  mount "a.b" {
#       ^^^^^ SV0109 "a.b" is no name for a resource
    device = "/dev/sdb"
    path   = "/srv"
  }
  placement {
    by = "random"
#        ^^^^^^^^ SV0304 "random" is no value for "by"
  }
  placement {
# ^^^^^^^^^ SV0106 service takes one block "placement"
  }
}

# The words of Terraform and Nomad.
variable "region" {
  type    = string
# ^^^^ SV0104 variable has no argument "type"
  default = "eu"
}

variable "size" {
^^^^^^^^ SV0105 variable needs "default"
}

resource "mount" "data" {
^^^^^^^^ SV0103 no block "resource" at the top level
  device = "/dev/sdb"
}

output "name" {
^^^^^^ SV0103 no block "output" at the top level
  value = 1
}

job "batch" {
^^^ SV0103 no block "job" at the top level
}

local {
^^^^^ SV0103 no block "local" at the top level
  a = 1
}

locals {
  region = var.regoin
#          ^^^^^^^^^^ SV0207 var.regoin is not defined
  zone   = "${region}-a"
#             ^^^^^^ SV0208 nothing is called "region"
  upper  = toupper(var.region)
#          ^^^^^^^ SV0222 no function "toupper"
  both   = local.region + 1
  first  = ["a", "b"][2]
#                     ^ SV0301 invalid index
  member = { a = 1 }.b
#                    ^ SV0301 no element "b"
  index  = "text"[0]
#                 ^ SV0301 invalid index
  lists  = [1, 2].a
#                 ^ SV0301 unsupported attribute
  or     = "a" || true
#          ^^^ SV0301 invalid operand
  num    = tonumber("x")
#                    ^ SV0301 invalid function argument
  deep   = jsondecode("{")
#          ^^^^^^^^^^ SV0301 jsondecode() has no result
}

service "web" {
  count = 3
# ^^^^^ SV0311 "count" has no effect on topology "failover"
  lifecycle {
# ^^^^^^^^^ SV0205 no kind "lifecycle"
  }
  provider = "aws"
# ^^^^^^^^ SV0104 service has no argument "provider"

  resource "app" "main" {
# ^^^^^^^^ SV0205 no kind "resource"
    command = ["/usr/bin/main"]
  }

  app "each" {
    count   = 2
#   ^^^^^ SV0104 app has no argument "count"
    command = ["/usr/bin/each", count.index]
#                               ^^^^^ SV0208 nothing is called "count"
  }

  app "keys" {
    for_each = toset(["a", "b"])
    command  = ["/usr/bin/keys", each.name, self.name]
#                                     ^^^^ SV0221 each has no "name"
#                                           ^^^^ SV0208 nothing is called "self"
  }

  app "reads" {
    command = ["/usr/bin/reads", data.mount.x, path.module, app.keys.user]
#                                ^^^^ SV0208 nothing is called "data"
#                                              ^^^^ SV0208 nothing is called "path"
    env     = { A = null, B = [1] }
#                             ^^^ SV0302 "env" must be a map of texts
  }

  app "data" {
    command  = ["/usr/bin/data"]
    for_each = var.region
#              ^^^^^^^^^^ SV0308 for_each takes a list of texts or a map
  }
}

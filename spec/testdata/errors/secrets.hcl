variable "pw" {
  default = secret("db")
}

variable "count" {
  default = length(secret("db"))
#                  ^^^^^^^ SV0315 a secret can't be computed with
}

locals {
  name    = "x"
  hash    = sha256(var.pw)
#                  ^^^^^^ SV0315 a secret can't be computed with
  joined  = join(",", [var.pw, "a"])
  same    = var.pw == "admin"
#           ^^^^^^^^^^^^^^^^^ SV0315 a secret can't be computed with
  inside  = { a = [var.pw] } != {}
#           ^^^^^^^^^^^^^^^^^^^^^^ SV0315 a secret can't be computed with
  choice  = var.pw ? 1 : 2
#           ^^^^^^ SV0315 a secret can't be computed with
  when    = "%{if var.pw}a%{endif}"
#                 ^^^^^^ SV0315 a secret can't be computed with
  not     = !var.pw
#            ^^^^^^ SV0315 a secret can't be computed with
  less    = var.pw < 3
#           ^^^^^^ SV0315 a secret can't be computed with
  sum     = var.pw + 1
#           ^^^^^^ SV0315 a secret can't be computed with
  number  = tonumber(var.pw)
#                    ^^^^^^ SV0315 a secret can't be computed with
  big     = abs(var.pw)
#               ^^^^^^ SV0315 a secret can't be computed with
  upper   = upper("a${var.pw}")
#                  ^ SV0315 a secret can't be computed with
  json    = jsonencode([var.pw])
#                      ^ SV0315 a secret can't be computed with
  base    = base64encode(var.pw)
#                        ^^^^^^ SV0315 a secret can't be computed with
  match   = regex("a", var.pw)
#                      ^^^^^^ SV0315 a secret can't be computed with
  part    = substr(var.pw, 0, 1)
#                  ^^^^^^ SV0315 a secret can't be computed with
  other   = replace("a", "a", var.pw)
#                             ^^^^^^ SV0315 a secret can't be computed with
  wide    = format("%10s", var.pw)
#                   ^^^^ SV0315 a secret can't be computed with
  quoted  = format("%q", var.pw)
#                   ^^ SV0315 a secret can't be computed with
  key     = { (var.pw) = 1 }
#             ^^^^^^^^ SV0315 a secret can't be computed with
  key2    = { "${var.pw}" = 1 }
#             ^^^^^^^^^^^ SV0315 a secret can't be computed with
  key3    = { for s in [var.pw] : s => 1 }
#                                 ^ SV0315 a secret can't be computed with
  filter  = [for s in [var.pw] : 1 if s]
#                                     ^ SV0315 a secret can't be computed with
  index   = { a = 1 }[var.pw]
#                     ^^^^^^ SV0315 a secret can't be computed with
  zip     = zipmap([var.pw], [1])
#                  ^ SV0315 a secret can't be computed with
  find    = contains(["a"], var.pw)
#                           ^^^^^^ SV0315 a secret can't be computed with
  set     = toset([var.pw])
#                 ^ SV0315 a secret can't be computed with
  read    = file(var.pw)
#           ^^^^^ SV0315 a secret can't be computed with
  deeper  = secret(var.pw)
#           ^^^^^^^ SV0315 a secret can't be computed with
  bad     = secret("../x")
#           ^^^^^^ SV0301 secret() has no result
  forged  = "\uE0C0db:\uE0C1"
#            ^^^^^^^^^^^^^^^ SV0008 a character that svcctl keeps for itself
  decoded = base64decode("7oOA")
#           ^^^^^^^^^^^^ SV0301 base64decode() has no result
}

service "s" {
  description = "the password is ${var.pw}"
#               ^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0316 a secret can't stand in "description"

  app "main" {
    command = ["/bin/app", "--password=${var.pw}"]
#                          ^^^^^^^^^^^^^^^^^^^^^^ SV0316 a secret can't stand in "command"
    nice    = var.pw
#             ^^^^^^ SV0316 a secret can't stand in "nice"
    tags    = [local.joined]
#              ^^^^^^^^^^^^ SV0316 a secret can't stand in "tags"
  }

  app "many" {
    for_each = [var.pw]
#              ^^^^^^^^ SV0315 a secret can't be computed with
    command  = ["/bin/true"]
  }

  task "t" {
    command  = ["/bin/true", secret("db")]
#                            ^^^^^^^^^^^^ SV0316 a secret can't stand in "command"
    schedule = secret("db")
#              ^^^^^^^^^^^^ SV0316 a secret can't stand in "schedule"
    env      = { A = ["no text", var.pw] }
#                    ^^^^^^^^^^^^^^^^^^^ SV0302 "env" must be a map of texts
  }
}

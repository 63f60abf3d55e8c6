variable "pw" {
  default = secret("db")
}

variable "count" {
  default = length(secret("db")) # ERROR: SV0315 a secret can't be computed with
}

locals {
  name    = "x"
  hash    = sha256(var.pw)          # ERROR: SV0315 a secret can't be computed with
  joined  = join(",", [var.pw, "a"])
  same    = var.pw == "admin"       # ERROR: SV0315 a secret can't be computed with
  inside  = { a = [var.pw] } != {}  # ERROR: SV0315 a secret can't be computed with
  choice  = var.pw ? 1 : 2          # ERROR: SV0315 a secret can't be computed with
  when    = "%{if var.pw}a%{endif}" # ERROR: SV0315 a secret can't be computed with
  not     = !var.pw                 # ERROR: SV0315 a secret can't be computed with
  less    = var.pw < 3              # ERROR: SV0315 a secret can't be computed with
  sum     = var.pw + 1              # ERROR: SV0315 a secret can't be computed with
  number  = tonumber(var.pw)        # ERROR: SV0315 a secret can't be computed with
  big     = abs(var.pw)             # ERROR: SV0315 a secret can't be computed with
  upper   = upper("a${var.pw}")     # ERROR: SV0315 a secret can't be computed with
  json    = jsonencode([var.pw])    # ERROR: SV0315 a secret can't be computed with
  base    = base64encode(var.pw)    # ERROR: SV0315 a secret can't be computed with
  match   = regex("a", var.pw)      # ERROR: SV0315 a secret can't be computed with
  part    = substr(var.pw, 0, 1)    # ERROR: SV0315 a secret can't be computed with
  other   = replace("a", "a", var.pw) # ERROR: SV0315 a secret can't be computed with
  wide    = format("%10s", var.pw)  # ERROR: SV0315 a secret can't be computed with
  quoted  = format("%q", var.pw)    # ERROR: SV0315 a secret can't be computed with
  key     = { (var.pw) = 1 }        # ERROR: SV0315 a secret can't be computed with
  key2    = { "${var.pw}" = 1 }     # ERROR: SV0315 a secret can't be computed with
  key3    = { for s in [var.pw] : s => 1 } # ERROR: SV0315 a secret can't be computed with
  filter  = [for s in [var.pw] : 1 if s]   # ERROR: SV0315 a secret can't be computed with
  index   = { a = 1 }[var.pw]       # ERROR: SV0315 a secret can't be computed with
  zip     = zipmap([var.pw], [1])   # ERROR: SV0315 a secret can't be computed with
  find    = contains(["a"], var.pw) # ERROR: SV0315 a secret can't be computed with
  set     = toset([var.pw])         # ERROR: SV0315 a secret can't be computed with
  read    = file(var.pw)            # ERROR: SV0315 a secret can't be computed with
  deeper  = secret(var.pw)          # ERROR: SV0315 a secret can't be computed with
  bad     = secret("../x")          # ERROR: SV0301 error in function call
  forged  = "\uE0C0db:\uE0C1"       # ERROR: SV0008 a character that svcctl keeps for itself
  decoded = base64decode("7oOA")    # ERROR: SV0301 error in function call
}

service "s" {
  description = "the password is ${var.pw}" # ERROR: SV0316 a secret can't stand in "description"

  app "main" {
    command = ["/bin/app", "--password=${var.pw}"] # ERROR: SV0316 a secret can't stand in "command"
    nice    = var.pw                               # ERROR: SV0316 a secret can't stand in "nice"
    tags    = [local.joined]                       # ERROR: SV0316 a secret can't stand in "tags"
  }

  app "many" {
    for_each = [var.pw] # ERROR: SV0315 a secret can't be computed with
    command  = ["/bin/true"]
  }

  task "t" {
    command  = ["/bin/true", secret("db")] # ERROR: SV0316 a secret can't stand in "command"
    schedule = secret("db")                # ERROR: SV0316 a secret can't stand in "schedule"
    env      = { A = ["no text", var.pw] } # ERROR: SV0302 "env" must be a map of texts
  }
}

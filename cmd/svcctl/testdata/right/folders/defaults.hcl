variable "domain" {
  default = "example.org" # read in the folders below
}

locals {
  logs = "/var/log/teams"
}

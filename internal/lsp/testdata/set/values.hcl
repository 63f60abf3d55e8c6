variable "listen" {
  default = "127.0.0.1:8080"
}

locals {
  listen = "--listen=${var.listen}"
}

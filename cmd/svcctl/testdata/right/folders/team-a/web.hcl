variable "port" {
  default = 8080
}

locals {
  vip = "10.0.9.10"
}

service "web" {
  container "web" {
    image = "registry.example.com/web:1"
    ports = ["${local.vip}:${var.port}:80"]
    env   = { HOST = "web.${var.domain}", LOGS = "${local.logs}/a" }
  }
}

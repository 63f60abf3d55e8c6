locals {
  vip = "10.0.9.11"
}

service "web" {
  requires = ["team-a/web"]

  container "web" {
    image = "registry.example.com/web:1"
    ports = ["${local.vip}:8080:80"]
    env   = { HOST = "b.${var.domain}", LOGS = "${local.logs}/b" }
  }
}

service "web" {
  namespace = "team-b-eu"
  apart     = ["team-b/web"]

  container "web" {
    image = "registry.example.com/web:1"
    ports = ["${local.vip}:8080:80"]
    env   = { HOST = "eu.${var.domain}" }
  }
}

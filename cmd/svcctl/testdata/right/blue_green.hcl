service "shop-blue" {
  nodes       = ["n1", "n2"]
  orchestrate = "manual"
  apart       = ["shop-green"]

  ip "vip" {
    address   = "10.0.2.10/24"
    interface = "eth0"
  }

  container "shop" {
    image = "registry.example.com/shop:1.41"
    name  = "shop"
    ports = ["8080:8080"]
  }
}

service "shop-green" {
  nodes       = ["n1", "n2"]
  orchestrate = "manual"

  ip "vip" {
    address   = "10.0.2.10/24"
    interface = "eth0"
  }

  container "shop" {
    image = "registry.example.com/shop:1.42"
    name  = "shop"
    ports = ["8080:8080"]
  }
}

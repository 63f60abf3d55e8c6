service "dns" {
  container "dns" {
    image = "docker.io/coredns/coredns:1.11.3"
    ports = ["53:53/tcp", "53:53/udp", "127.0.0.1:8053:8080", "[::1]:8053:8080", "10.0.4.1:8053:8080"]
  }
}

service "ftp" {
  container "ftp" {
    image = "docker.io/stilliard/pure-ftpd:latest"
    ports = ["10.0.4.2:21:21"]
  }
}

service "web" {
  container "front" {
    image = "docker.io/library/nginx:1.27"
    ports = ["10.0.4.1:80:80", "10.0.4.1:443:443"]
  }

  container "back" {
    image = "docker.io/library/nginx:1.27"
    ports = ["10.0.4.2:80:80", "[2001:db8::2]:80:80"]
  }

  container "any" {
    image = "docker.io/library/nginx:1.27"
    ports = ["80"] # the engine chooses one
  }
}

service "web-n1" {
  nodes = ["n1"]

  container "web" {
    image = "docker.io/library/nginx:1.27"
    name  = "edge"
    ports = ["0.0.0.0:8443:443"]
  }
}

service "web-n2" {
  nodes = ["n2"]

  container "web" {
    image = "docker.io/library/nginx:1.27"
    name  = "edge"
    ports = ["0.0.0.0:8443:443"]
  }
}

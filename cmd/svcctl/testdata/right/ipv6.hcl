service "v6" {
  ip "a" {
    address   = "2001:DB8::A/64"
    interface = "eth0"
  }

  ip "b" {
    address   = "2001:db8::b/64"
    interface = "eth0"
  }

  ip "v4" {
    address   = "10.0.7.10/24"
    interface = "eth0"
  }

  container "a" {
    image = "docker.io/library/nginx:1.27"
    ports = [hostport(ip.a.host, "80:80"), hostport(ip.a.host, "443:443")]
  }

  container "b" {
    image = "docker.io/library/nginx:1.27"
    ports = [hostport(ip.b.host, "80:80"), hostport(ip.v4.host, "80:80")]
  }
}

# A pod by hand: one container has the network, the others share it.
service "pod" {
  container "net" {
    image = "docker.io/library/alpine:3.20"
    name  = "pod-net"
    ports = ["8085:80", "127.0.0.1:9115:9115"]
  }

  container "web" {
    image   = "docker.io/library/nginx:1.27"
    network = "container:${container.net.name}"
  }

  container "exporter" {
    image   = "docker.io/nginx/nginx-prometheus-exporter:1.1"
    network = "container:${container.net.name}"
    command = ["--nginx.scrape-uri=http://127.0.0.1/stub_status", "--web.listen-address=:9115"]
  }
}

service "pod-podman" {
  container "net" {
    engine = "podman"
    image  = "docker.io/library/alpine:3.20"
    name   = "pod-net" # the other engine's names are its own
  }
}

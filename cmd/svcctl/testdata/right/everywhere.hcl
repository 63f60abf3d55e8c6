service "node-exporter" {
  topology = "everywhere"

  app "main" {
    command = ["/usr/bin/node_exporter", "--web.listen-address=:9100", "--collector.textfile.directory=/var/lib/node_exporter", "--path.rootfs=/"]
    user    = "node-exp"
  }
}

service "cadvisor" {
  topology = "everywhere"

  container "cadvisor" {
    image   = "gcr.io/cadvisor/cadvisor:v0.49.1"
    ports   = ["9101:8080"]
    volumes = ["/:/rootfs:ro", "/var/run:/var/run:ro", "/sys:/sys:ro", "/var/lib/docker/:/var/lib/docker:ro", "/dev/disk/:/dev/disk:ro"]
  }
}

# Anycast: every node announces the same address from its loopback.
service "resolver" {
  topology = "everywhere"

  ip "anycast" {
    address   = "10.255.255.53/32"
    interface = "lo"
    probe     = "none"
  }

  ip "anycast6" {
    address   = "fd00:53::53/128"
    interface = "lo"
    probe     = "none"
  }

  systemd "unbound" {
    unit  = "unbound.service"
    after = [ip.anycast, ip.anycast6]

    check "dns" "answers" {
      name   = "example.org"
      server = ip.anycast.host
    }
  }

  systemd "bird" {
    unit  = "bird.service"
    after = [systemd.unbound]
  }
}

service "promtail" {
  topology = "everywhere"

  container "promtail" {
    image   = "docker.io/grafana/promtail:3.0.0"
    network = "host"
    volumes = ["/var/log:/var/log:ro", "/etc/promtail.yaml:/etc/promtail/config.yml:ro"]
    env     = { HTTP_PORT = "9080", CLIENT_URL = "http://tenant@loki.example.org:3100/loki/api/v1/push" }
  }
}

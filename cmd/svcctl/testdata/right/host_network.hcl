variable "address" {
  default = "10.0.3.10"
}

service "monitoring" {
  ip "vip" {
    address   = "${var.address}/24"
    interface = "eth0"
  }

  container "prometheus" {
    image   = "docker.io/prom/prometheus:v2.53.0"
    network = "host"
    command = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus", "--web.listen-address=${hostport(ip.vip.host, 9090)}"]
    volumes = ["/etc/prometheus:/etc/prometheus:ro", "/var/lib/prometheus:/prometheus"]
  }

  container "alertmanager" {
    image   = "docker.io/prom/alertmanager:v0.27.0"
    network = "host"
    command = ["--config.file=/etc/alertmanager/alertmanager.yml", "--web.listen-address=${hostport(ip.vip.host, 9093)}", "--cluster.listen-address="]
    volumes = ["/etc/alertmanager:/etc/alertmanager:ro"]
  }

  container "grafana" {
    image = "docker.io/grafana/grafana:11.1.0"
    ports = ["${ip.vip.host}:3000:3000"]
    env   = { GF_SECURITY_ADMIN_PASSWORD__FILE = "/run/svcctl-credentials/admin", GF_SERVER_ROOT_URL = "https://grafana.example.org", GF_AUTH_ANONYMOUS_ENABLED = "false", GF_USERS_DEFAULT_THEME = "light" }

    credentials = { admin = secret("grafana-admin") }
  }
}

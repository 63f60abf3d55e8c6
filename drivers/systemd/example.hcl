# nginx stays the distribution's unit: systemd starts it, svcctl says when and where.
# It should not be enabled in systemd as well: systemctl disable nginx.service.
service "web" {
  ip "vip" {
    address   = "192.0.2.20/24"
    interface = "eth0"
  }

  systemd "nginx" {
    unit  = "nginx.service"
    after = [ip.vip]

    timeouts {
      start = "1m"
      stop  = "30s"
    }

    check "http" "answers" {
      url     = "http://${hostport(ip.vip.host, 80)}/"
      every   = "5s"
      timeout = "2s"
      fall    = 3
    }
  }
}

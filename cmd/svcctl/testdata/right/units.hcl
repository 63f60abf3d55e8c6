service "vpn" {
  systemd "tunnel" {
    for_each = ["paris", "rome", "oslo"]
    unit     = "openvpn-client@${each.key}.service"
  }

  systemd "timer" {
    unit = "vpn-rotate.timer"
  }

  systemd "podman" {
    unit  = "podman.socket"
    scope = "user"
    user  = "alice"
  }
}

service "vpn-bob" {
  systemd "podman" {
    unit  = "podman.socket"
    scope = "user"
    user  = "bob"
  }

  systemd "system" {
    unit = "podman.socket"
  }
}

service "web" {
  systemd "nginx" {
    unit         = "nginx.service"
    before_start = ["/usr/sbin/nginx", "-t"]
  }

  systemd "fpm" {
    for_each = { "8.2" = "a", "8.3" = "b" }
    unit     = "php${each.key}-fpm.service"
  }
}

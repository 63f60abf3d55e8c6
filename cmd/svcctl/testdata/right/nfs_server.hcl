service "nfs" {
  nodes = ["n1", "n2"]

  mount "export" {
    device = "LABEL=export"
    path   = "/export"
    type   = "xfs"
  }

  mount "state" {
    type   = "bind"
    device = "/export/.nfs-state"
    path   = "/var/lib/nfs"
    after  = [mount.export]
  }

  systemd "server" {
    unit  = "nfs-server.service"
    after = [mount.state]
  }

  ip "nfs" {
    address   = "10.0.6.10/24"
    interface = "eth0"
    after     = [systemd.server]
  }

  app "quota" {
    command  = ["/usr/local/bin/quotad", "/export/home", "/export/projects"]
    after    = [systemd.server]
    optional = true
  }
}

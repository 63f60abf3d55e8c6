# The disk is in repair: what stands on it is off for a while.
service "repair" {
  mount "data" {
    device   = "/dev/vg0/repair"
    path     = "/srv/repair"
    type     = "ext4"
    disabled = true
  }

  app "main" {
    command  = ["/usr/local/bin/main", "--data", mount.data.path]
    disabled = true
  }

  app "page" {
    command = ["/usr/local/bin/maintenance-page"]
  }

  task "dump" {
    schedule = "@daily"
    command  = ["/usr/local/bin/dump", "/srv/repair/db"]
    disabled = true
  }

  ip "old" {
    address   = "10.0.5.1/24"
    interface = "eth0"
    disabled  = true
  }

  ip "new" {
    address   = "10.0.5.1/24"
    interface = "eth1"
  }
}

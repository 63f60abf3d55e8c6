# A disk that fills up is told before the service notices.
service "files" {
  mount "data" {
    device = "/dev/vg0/files"
    path   = "/srv/files"
    type   = "xfs"

    check "disk" "space" {
      path            = "/srv/files"
      mounted         = true
      min_free        = "10%"
      min_free_inodes = "10000"
      every           = "1m"
      timeout         = "10s"
      on_fall         = "report"
    }
  }
}

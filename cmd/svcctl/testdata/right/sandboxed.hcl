service "gitea" {
  mount "data" {
    device = "/dev/mapper/vg0-gitea"
    path   = "/var/lib/gitea"
    type   = "ext4"
    owner  = "git"
  }

  mount "logs" {
    device = "/dev/mapper/vg0-gitea--logs"
    path   = "/var/log/gitea"
    type   = "ext4"
  }

  app "gitea" {
    command = ["/usr/local/bin/gitea", "web", "--config", "/etc/gitea/app.ini", "--custom-path=/var/lib/gitea/custom", "--pid", "/run/gitea.pid"]
    user    = "git"
    cwd     = mount.data.path
    env     = { GITEA_WORK_DIR = mount.data.path, HOME = "/home/git", TMPDIR = "/var/tmp", PATH = "/usr/local/bin:/usr/bin:/bin" }
    after   = [mount.logs]

    sandbox {
      read_write_paths   = [mount.data.path, mount.logs.path, "/run"]
      temporary_paths    = ["/var/lib/gitea2"]
      inaccessible_paths = ["-/srv", "-/var/lib/postgresql"]
    }
  }
}

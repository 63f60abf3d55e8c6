# Mounts upon mounts.
service "media" {
  loop "image" {
    file = "${mount.store.path}/images/media.img"
    size = "10G"
  }

  mount "store" {
    device = "/dev/vg0/store"
    path   = "/srv/store"
    type   = "ext4"
  }

  mount "media" {
    device = loop.image.device
    path   = "/srv/store/media"
    type   = "xfs"
    mkfs   = true
  }

  mount "cache" {
    type  = "tmpfs"
    path  = "/srv/store/media/cache"
    after = [mount.media]
  }

  mount "public" {
    type    = "bind"
    device  = "${mount.media.path}/public"
    path    = "/srv/www/public"
    options = ["ro"]
  }

  mount "public_ftp" {
    type   = "bind"
    device = "${mount.media.path}/public"
    path   = "/srv/ftp/public"
  }

  app "server" {
    command = ["/usr/local/bin/mediad", "--data=${mount.media.path}", "--cache", mount.cache.path, "--www", "/srv/www/static", "--log=/var/log/mediad.log"]
    cwd     = "/srv/store/media/library"
  }
}

service "scratch-a" {
  mount "shm" {
    type = "tmpfs"
    path = "/srv/scratch-a"
  }
}

service "scratch-b" {
  mount "shm" {
    type = "tmpfs"
    path = "/srv/scratch-b"
  }

  mount "hosts" {
    type   = "bind"
    device = "/etc/hosts"
    path   = "/srv/chroot/etc/hosts"
  }
}

service "subvolumes" {
  mount "root" {
    device  = "/dev/disk/by-uuid/aaaaaaaa-2222-3333-4444-555555555555"
    path    = "/srv/btrfs/data"
    type    = "btrfs"
    options = ["subvol=@data"]
  }

  mount "snapshots" {
    device  = "UUID=aaaaaaaa-2222-3333-4444-555555555555"
    path    = "/srv/btrfs/snapshots"
    type    = "btrfs"
    options = ["subvol=@snapshots", "ro"]
  }
}

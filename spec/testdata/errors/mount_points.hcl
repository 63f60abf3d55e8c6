# Mounts in each other, and paths that are on one or beside one.
service "base" {
  mount "srv" {
    device = "/dev/vg0/base"
    path   = "/srv/base"
  }
}

service "inside" {
  mount "data" {
    device = "/dev/vg0/inside"
    path   = "/srv/base/inside"
#            ^^^^^^^^^^^^^^^^^^ SV0507 mount point /srv/base/inside lies under /srv/base of base/mount.srv
  }
}

service "behind" {
  requires = ["base"]
  with     = ["base"]
  mount "data" {
    device = "/dev/vg0/behind"
    path   = "/srv/base/behind"
  }
}

service "order" {
  mount "data" {
    device = "/dev/vg0/data"
    path   = "/srv/order/data"
  }
  mount "index" {
    device = "/dev/vg0/index"
    path   = "/srv/order/data/index"
#            ^^^^^^^^^^^^^^^^^^^^^^^ SV0508 /srv/order/data/index lies in mount.data, and mount.index is not after it
  }
  app "early" {
    command = ["/usr/bin/order", "--data=/srv/order/data/tables"]
#                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0508 /srv/order/data/tables lies in mount.data, and app.early is not after it
  }
  app "late" {
    command = ["/usr/bin/order", "/srv/order/data/tables", "/srv/order/data/index"]
    after   = [mount.data, mount.index]
  }
  app "slip" {
    command = [
      "/usr/bin/order",
      mount.data.path,
      "/srv/order/dta",
#     ^^^^^^^^^^^^^^^^ SV0509 no mount provides /srv/order/dta
      "/srv/order/archive",
#     ^^^^^^^^^^^^^^^^^^^^ SV0509 no mount provides /srv/order/archive
      "/srv/order/order.conf",
      "/srv/ordering/data",
    ]
  }
}

service "mistaken" { # the order of what is mistaken is not judged
  mount "data" {
    device = "/dev/vg0/mistaken"
    path   = "/srv/mistaken"
  }
  app "main" {
    command = ["/usr/bin/mistaken", "/srv/mistaken"]
    wrong   = true
#   ^^^^^ SV0104 app has no argument "wrong"
  }
}

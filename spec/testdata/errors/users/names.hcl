service "web" {
  loop "image" {
    file = "/srv/images/data.img"
  }

  container "main" {
    name  = "proxy"
    image = "docker.io/library/nginx:1.27"
  }
}

service "api" {
  loop "image" {
    file = "/srv/images/data.img"
#          ^^^^^^^^^^^^^^^^^^^^^^ SV0506 file /srv/images/data.img is web/loop.image's too
  }

  container "main" {
    name  = "proxy"
#           ^^^^^^^ SV0505 container proxy is web/container.main's too
    image = "docker.io/library/nginx:1.27"
  }

  app "main" {
    command = ["/usr/bin/api"] # the server    user = "api"
#                                              ^^^^^^^^^^^^ SV0516 a comment goes on into "user"
  }
}

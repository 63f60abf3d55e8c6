# Addresses, ports and networks.
service "network" {
  ip "alone" {
    address   = "10.0.0.1"
#               ^^^^^^^^^^ SV0309 Prefix length is missing
    interface = "eth0"
  }

  ip "wide" {
    address   = "10.0.0.3/33"
#               ^^^^^^^^^^^^^ SV0309 Not an address
    interface = "eth0"
  }

  ip "name" {
    address = "db.example.org/24"
#             ^^^^^^^^^^^^^^^^^^^ SV0309 Not an address
    dev     = "eth0"
#   ^^^ SV0104 ip has no argument "dev"
  }

  ip "six" {
    address   = "2001:db8::1"
#               ^^^^^^^^^^^^^ SV0309 Prefix length is missing
    interface = "eth0"
    mac       = "00:11:22:33:44"
#               ^^^^^^^^^^^^^^^^ SV0309 Only inside a network namespace
  }

  app "api" {
    command = ["/usr/bin/api"]

    check "tcp" "brackets" {
      address = "2001:db8::1:80"
#               ^^^^^^^^^^^^^^^^ SV0309 Not a host and port
    }
    check "tcp" "port" {
      address = "localhost"
#               ^^^^^^^^^^^ SV0309 Not a host and port
    }
    check "tcp" "range" {
      address = "localhost:99999"
#               ^^^^^^^^^^^^^^^^^ SV0309 Not a host and port
    }
    check "tcp" "apart" {
      host = "localhost"
#     ^^^^ SV0104 check "tcp" has no argument "host"
      port = 80
#     ^^^^ SV0104 check "tcp" has no argument "port"
    }
    check "http" "scheme" {
      url      = "localhost:80/health"
#                ^^^^^^^^^^^^^^^^^^^^^ SV0309 Not a URL that can be asked
      interval = "5s"
#     ^^^^^^^^ SV0104 check "http" has no argument "interval"
    }
    check "http" "six" {
      url     = "http://::1:80/health"
#               ^^^^^^^^^^^^^^^^^^^^^^ SV0309 Not a URL that can be asked
      retries = 3
#     ^^^^^^^ SV0104 check "http" has no argument "retries"
    }
    check "http" "status" {
      url    = "http://localhost/"
      status = 200
    }
    check "ping" "gateway" {
#         ^^^^^^ SV0206 no check "ping"
      host = "10.0.0.254"
    }
    check "http" {
#   ^^^^^ SV0107 check takes two labels, its kind and its name
      url = "http://localhost/"
    }
    check "tcp" "url" {
      url = "http://localhost/"
#     ^^^ SV0104 check "tcp" has no argument "url"
    }
    check "dns" "record" {
      server = "10.0.0.53"
      name   = "example.org"
      type   = "AAAAA"
#              ^^^^^^^ SV0304 "AAAAA" is no value for "type"
    }
  }

  container "api" {
    image = "docker.io/library/nginx:1.27"
    ports = ["8080:80", "99999:80"]
#                       ^^^^^^^^^^ SV0309 Not a port
  }

  container "files" {
    image   = "Nginx Latest"
#             ^^^^^^^^^^^^^^ SV0309 Not the name of an image
    volumes = ["data:/srv", "srv:relative"]
#                           ^^^^^^^^^^^^^^ SV0309 Not a volume
  }

  route "words" {
    to  = "10.0.0.0/8"
#   ^^ SV0104 route has no argument "to"
    via = "10.0.0.1"
#   ^^^ SV0104 route has no argument "via"
  }

  route "mask" {
    destination = "10.0.0.0"
#                 ^^^^^^^^^^ SV0309 Not a network
    gateway     = "10.0.0.1/24"
#                 ^^^^^^^^^^^^^ SV0309 Not an address of a host
  }

  route "nowhere" {
# ^^^^^ SV0309 The route leads nowhere
    destination = "default"
  }
}

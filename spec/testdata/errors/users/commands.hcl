service "web" {
  app "options" {
    command = ["/usr/bin/web --listen :80"]
#             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0309 A command line in one text
  }

  app "redirected" {
    command = ["/usr/bin/web >/var/log/web 2>&1"]
#             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0309 A command line in one text
  }

  app "script" {
    command = ["python3 app.py", "--debug"]
#             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0309 A command line in one text
  }

  app "blanks" {
    command = ["/usr/lib/plexmediaserver/Plex Media Server"]
  }

  app "window" {
    command = ["/usr/bin/web"]

    restart {
      within = "5m"
#              ^^^^ SV0311 "within" has no effect without attempts
    }

    check "exec" "ready" {
      command = ["/usr/bin/pg_isready -q"]
#               ^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0309 A command line in one text
    }
  }

  container "shop" {
    image      = "docker.io/library/nginx:"
#                ^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0309 Not the name of an image
    entrypoint = ["sh", "-c"]
    command    = ["exec nginx >/dev/null"]
  }

  ip "vip" {
    address   = "10.0.0.10/24"
    netmask   = "255.255.255.0"
#   ^^^^^^^ SV0104 ip has no argument "netmask"
    interface = "eth0"
  }
}

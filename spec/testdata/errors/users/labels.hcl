service "y" {
  app a {
    command = ["/bin/sh"]
  }
  app "b" "c" {
#         ^^^ SV0107 app takes one label, its name
    command = ["/bin/sh"]
  }
  app {
# ^^^ SV0107 app takes one label, its name
    command = ["/bin/sh"]
  }
}
service z {
}

service "each" {
  app "web" {
    for_each = ["a", "b"]
    command  = ["/bin/true", each.key]
    port     = 80
  }

  app "number" {
    for_each = [1, 2]
#              ^^^^^^ SV0308 for_each has an element that is not text
    command  = ["/bin/true"]
  }

  app "text" {
    for_each = "a"
#              ^^^ SV0308 for_each takes a list of texts or a map
    command  = ["/bin/true"]
  }

  app "twice" {
    for_each = ["a", "a"]
#              ^^^^^^^^^^ SV0308 for_each has "a" twice
    command  = ["/bin/true"]
  }

  app "key" {
    for_each = ["a b"]
#              ^^^^^^^ SV0308 "a b" is no key for an instance
    command  = ["/bin/true"]
  }

  app "once" {
    for_each = ["a", "b", "c"]
    command  = [each.kye]
#                    ^^^ SV0221 each has no "kye"
  }

  app "nobody" {
    for_each = []
    command  = ["/bin/true"]
    nice     = "x"
#              ^^^ SV0302 "nice" must be a number
  }

  app "reads" {
    command = ["/bin/true"]
    nice    = app.web["c"].port
#                     ^^^ SV0220 app.web has no instance "c"
    port    = app.web.port
#             ^^^^^^^^^^^^ SV0220 app.web has for_each: which instance is meant
    after   = [app.web["z"]]
#                      ^^^ SV0220 app.web has no instance "z"
  }

  mount "one" {
    device = "/dev/sdb"
    path   = "/srv"
  }

  app "index" {
    command = [mount.one["a"].path]
#                        ^^^ SV0210 mount.one has no field "a" to read
  }

  app "itself" {
    for_each = app.itself
#              ^^^^^^^^^^ SV0213 resources wait for each other: app.itself → app.itself
    command  = ["/bin/true"]
  }
}

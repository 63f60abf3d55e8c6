service "cycle" {
  app "a" {
    command = ["/bin/true"]
    after   = [app.b]
#              ^^^^^ SV0213 resources wait for each other: app.a → app.b → app.c → app.a
  }
  app "b" {
    command = ["/bin/true"]
    nice    = app.c.port
  }
  app "c" {
    command = ["/bin/true"]
    after   = [app.a]
  }
  app "behind" {
    command = ["/bin/true"]
    after   = [app.c]
  }
}

service "one" {
  requires = ["two"]
#             ^^^^^ SV0214 services require each other: one → two → one
}

service "two" {
  requires = ["one"]
}

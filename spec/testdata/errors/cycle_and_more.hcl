# A loop hides neither another loop nor a mistake in what is on it or behind it.
service "web" {
  app "a" {
    command = ["a"]
    after   = [app.b]
#              ^^^^^ SV0213 resources wait for each other: app.a → app.b → app.a
  }
  app "b" {
    command = "b"
#             ^^^ SV0302 "command" must be a list of texts
    after   = [app.a]
  }
  app "c" {
    command = ["c"]
    after   = [app.d]
#              ^^^^^ SV0213 resources wait for each other: app.c → app.d → app.c
  }
  app "d" {
    command = ["d"]
    after   = [app.c]
  }
  app "behind" {
    command = ["x"]
    comand  = ["x"]
#   ^^^^^^ SV0104 app has no argument "comand"
    after   = [app.a]
  }
}

# What never comes, or never ends.
service "never" {
  app "old" {
    command  = ["/usr/bin/old"]
    port     = 8080
    disabled = true
  }
  app "behind" {
    command = ["/usr/bin/behind"]
    after   = [app.old]
#              ^^^^^^^ SV0513 app.old is disabled
  }
  app "reader" {
    command = ["/usr/bin/reader", "--port=${app.old.port}"]
#                                           ^^^^^^^^^^^^ SV0513 app.old is disabled
    restart {
      attempts = 5
#                ^ SV0515 5 attempts within 1m0s can't be used up
      backoff  = "20s"
    }
    check "tcp" "port" {
      address = "127.0.0.1:80"
      every   = "5s"
      timeout = "5s"
#               ^^^^ SV0514 "timeout" is as long as "every"
    }
  }
  app "third" { # waits for the reader, which is told
    command = ["/usr/bin/third"]
    after   = [app.reader]
    restart {
      attempts = 3
    }
  }
  task "backup" {
    command = ["/usr/bin/backup"]
    after   = [app.old]
#              ^^^^^^^ SV0513 app.old is disabled
  }
}

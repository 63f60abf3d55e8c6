/*
 * Copyright (c) Example Corporation.   All rights reserved.
 *
 *   nodes    = ["n1"]
 *   topology = "everywhere"
 */

#  name        port     owner
#  ----------  -------  ------------
#  frontend    8080     web@example.org
#  backend     8081     "core"

//        +--------+        +---------+
//  --->  |  lb    |  --->  |  app    |
//        +--------+        +---------+

service "commented" {
  # description = "old"     user = "nobody"
  #nodes      = ["n1", "n2"]
  # topology  = "everywhere"
  #   rto       = "10s"     was agreed with the bank
  description = "Commented" # shown in status      and in the portal

  #  ip "old" {
  #    address   = "10.0.0.1/24"
  #    interface = "eth0"
  #  }

  app "main" {
    command = [
      "/usr/local/bin/main",
      "--verbose", # noisy          but wanted
      # "--trace",     # switched off   since March
      "--color=never", # "--color=auto" is for terminals
    ]
    user = "nobody" # group = "nogroup" was wrong
    env = {
      LOG = "info" # or debug       or trace
      # LEVEL = "3"    # LEVEL is old
      COLOR = "never" # COLOR = "auto" is for terminals
    }
    # memory = "1G"    cpu = 2
    umask = "027" #      see the wiki: https://wiki.example.org/umask

    # restart {
    #   attempts = 3    # was 5
    #   within   = "1m"
    # }
  }

  # What        When            Why
  # dump        0 3 * * *       nightly
  # tidy        @every 15m      space
  task "dump" {
    schedule = "0 3 * * *" # min  hour  day  month  weekday
    command  = ["/usr/local/bin/dump"]
    #           |               \-- the program
  }
}

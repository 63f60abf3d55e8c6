service "tasks" {
  app "main" {
    command  = ["/bin/true"]
    schedule = "0 3 * * *"
#   ^^^^^^^^ SV0104 app has no argument "schedule"
    after    = [task.good]
#               ^^^^^^^^^ SV0225 task.good is a task
  }

  app "reads" {
    command = task.good.command
#             ^^^^^^^^^ SV0225 task.good is a task
  }

  task "good" {
    command  = ["/bin/true"]
    schedule = "*/5 * * * *"
    timezone = "Europe/Paris"
    spread   = "4m"
    missed   = "run"
  }

  task "behind" {
    command = ["/bin/true"]
    after   = [app.main, task.many["a"]]
#                        ^^^^^^^^^ SV0225 task.many is a task
  }

  app "loop" {
    command = ["/bin/true"]
    after   = [task.loop]
#              ^^^^^^^^^ SV0225 task.loop is a task
  }

  task "loop" {
    command = ["/bin/true"]
    after   = [app.loop]
  }

  task "many" {
    for_each = ["a", "b"]
    command  = [each.key]
  }

  task "resource" {
    command      = ["/bin/true"]
    optional     = true
#   ^^^^^^^^ SV0116 a task takes no "optional"
    standby      = true
#   ^^^^^^^ SV0116 a task takes no "standby"
    monitor      = false
#   ^^^^^^^ SV0116 a task takes no "monitor"
    on_stuck     = "wait"
#   ^^^^^^^^ SV0116 a task takes no "on_stuck"
    before_start = ["a"]
#   ^^^^^^^^^^^^ SV0116 a task takes no "before_start"
    after_start  = ["a"]
#   ^^^^^^^^^^^ SV0116 a task takes no "after_start"
    before_stop  = ["a"]
#   ^^^^^^^^^^^ SV0116 a task takes no "before_stop"
    after_stop   = ["a"]
#   ^^^^^^^^^^ SV0116 a task takes no "after_stop"
    shedule      = "0 3 * * *"
#   ^^^^^^^ SV0104 task has no argument "shedule"
    restart {
#   ^^^^^^^ SV0116 a task takes no "restart"
    }
    timeouts {
#   ^^^^^^^^ SV0116 a task takes no "timeouts"
    }
    check "http" "a" {
#   ^^^^^ SV0116 a task takes no "check"
      url = "http://localhost"
    }
  }

  task "never" {
    command  = ["/bin/true"]
    schedule = "0 0 30 2 *"
#              ^^^^^^^^^^^^ SV0312 the schedule is never due: day 30 does not exist in month 2
  }

  task "field" {
    command  = ["/bin/true"]
    schedule = "0 25 * * *"
#              ^^^^^^^^^^^^ SV0312 the hour "25" has 25, which is out of range
    timezone = "Europe/Pariss"
#              ^^^^^^^^^^^^^^^ SV0313 no time zone "Europe/Pariss"
  }

  task "times" {
    command  = ["/bin/true"]
    schedule = "@every 5m"
    timezone = "Local"
#              ^^^^^^^ SV0313 no time zone "Local"
    timeout  = "0s"
#              ^^^^ SV0309 "timeout" must be longer than 0s
    spread   = "-1m"
#              ^^^^^ SV0305 "spread" must be 0s or longer
    missed   = "later"
#              ^^^^^^^ SV0304 "later" is no value for "missed"
  }

  drill "switch" {
# ^^^^^ SV0113 "drill" is accepted and has no effect in this version
    schedule = "0 3 * * mom"
#              ^^^^^^^^^^^^^ SV0312 the day of week "mom" has "mom", which is no number
  }

  task "wide" {
    command  = ["/bin/true"]
    schedule = "0 1,3 * * *"
    timezone = "UTC"
    spread   = "3h"
#              ^^^^ SV0314 "spread" is longer than the schedule's shortest distance
  }

  task "asked" {
    command  = ["/bin/true"]
    timezone = "UTC"
#   ^^^^^^^^ SV0311 "timezone" has no effect without a schedule
    missed   = "run"
#   ^^^^^^ SV0311 "missed" has no effect without a schedule
  }
}

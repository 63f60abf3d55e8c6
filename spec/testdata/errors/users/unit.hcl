# The words of a unit of systemd.
service "unit" {
  app "main" {
    ExecStart        = "/usr/bin/main"
#   ^^^^^^^^^ SV0104 app has no argument "ExecStart"
    WorkingDirectory = "/srv"
#   ^^^^^^^^^^^^^^^^ SV0104 app has no argument "WorkingDirectory"
    user             = "main"
  }

  app "hooks" {
    exec_start   = ["/usr/bin/hooks"]
#   ^^^^^^^^^^ SV0104 app has no argument "exec_start"
    ExecStartPre = ["/usr/bin/before"]
#   ^^^^^^^^^^^^ SV0104 app has no argument "ExecStartPre"
    TimeoutStopSec = 30
#   ^^^^^^^^^^^^^^ SV0104 app has no argument "TimeoutStopSec"
    RestartSec = 5
#   ^^^^^^^^^^ SV0104 app has no argument "RestartSec"
    LimitNOFILE = 1024
#   ^^^^^^^^^^^ SV0104 app has no argument "LimitNOFILE"
    capabilities = ["CAP_NET_BIND_SERVICE"]
#   ^^^^^^^^^^^^ SV0104 app has no argument "capabilities"
  }

  app "units" {
    command    = ["/usr/bin/units"]
    memory     = "512 MB"
#                ^^^^^^^^ SV0306 "512 MB" is no size
    kill_after = "30 sec"
#                ^^^^^^^^ SV0303 "30 sec" is no duration
    umask      = "888"
#                ^^^^^ SV0309 Not an octal mask
    oom_score  = 2000
#                ^^^^ SV0309 Not a score
    cpu        = "50%"
#                ^^^^^ SV0302 "cpu" must be a number
    stop_signal = "SIGFOO"
#                 ^^^^^^^^ SV0309 Unknown signal
    timeouts {
      start = 90
#             ^^ SV0303 "90" is no duration
      stop  = "2 minutes"
#             ^^^^^^^^^^^ SV0303 "2 minutes" is no duration
    }
    restart {
      attempts = "always"
#                ^^^^^^^^ SV0302 "attempts" must be a number
      within   = "1min"
#                ^^^^^^ SV0303 "1min" is no duration
      reset    = "1 day"
#                ^^^^^^^ SV0303 "1 day" is no duration
      delay    = "5s"
#     ^^^^^ SV0104 restart has no argument "delay"
    }
  }

  timer "nightly" {
# ^^^^^ SV0205 no kind "timer"
    command = ["/usr/bin/nightly"]
  }

  task "nightly" {
    command  = ["/usr/bin/nightly"]
    schedule = "Mon *-*-* 03:00:00"
#              ^^^^^^^^^^^^^^^^^^^^ SV0312 a schedule has five fields, this one has 3
  }

  task "daily" {
    command    = ["/usr/bin/daily"]
    OnCalendar = "daily"
#   ^^^^^^^^^^ SV0104 task has no argument "OnCalendar"
  }

  task "cron" {
    command  = ["/usr/bin/cron"]
    schedule = "0 3 * *"
#              ^^^^^^^^^ SV0312 a schedule has five fields, this one has 4
    tz       = "Europe/Paris"
#   ^^ SV0104 task has no argument "tz"
  }

  task "hour" {
    command  = ["/usr/bin/hour"]
    schedule = "60 24 * * *"
#              ^^^^^^^^^^^^^ SV0312 the minute "60" has 60, which is out of range
    timezone = "Paris"
#              ^^^^^^^ SV0313 no time zone "Paris"
  }

  task "zone" {
    command  = ["/usr/bin/zone"]
    schedule = "0 3 * * 8"
#              ^^^^^^^^^^^ SV0312 the day of week "8" has 8, which is out of range
    timezone = "CEST"
#              ^^^^^^ SV0313 no time zone "CEST"
  }

  task "often" {
    command  = ["/usr/bin/often"]
    schedule = "@every 5"
#              ^^^^^^^^^^ SV0312 "5" behind @every is no duration
    timeout  = 60
#              ^^ SV0303 "60" is no duration
  }
}

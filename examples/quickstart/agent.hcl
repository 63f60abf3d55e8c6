# An agent that needs no root: all that it keeps lies beside this file.

node {
  name   = "here"
  labels = { home = env("PWD") } # start it at the top of the checkout
}

services {
  dir = "services"
}

state {
  dir = "run/state"
  run = "run"
}

metrics {
  listen = "127.0.0.1:8779"
}

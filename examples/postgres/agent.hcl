# An agent of its own for the example, apart from one that this host may have.

node {
  name = "here"
}

services {
  dir = "services"
}

state {
  dir = "run/state"
  run = "run"
}

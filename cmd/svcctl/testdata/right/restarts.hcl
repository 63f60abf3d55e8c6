service "restarts" {
  app "a" {
    command = ["/usr/local/bin/a"]
    restart {
      attempts = 3
      within   = "1m"
    }
  }
  app "b" {
    command = ["/usr/local/bin/b"]
    restart {
      attempts = 5
    }
  }
  app "c" {
    command = ["/usr/local/bin/c"]
    restart {
      attempts = 1
      within   = "1h"
    }
  }
  app "d" {
    command = ["/usr/local/bin/d"]
    restart {
      attempts = 3
      within   = "1m"
      backoff  = "500ms"
      max      = "10s"
    }
  }
  app "e" {
    command = ["/usr/local/bin/e"]
    restart {
      attempts = 10
      within   = "5m"
      backoff  = "1s"
    }
  }
  app "f" {
    command = ["/usr/local/bin/f"]
    restart {
      attempts = 0
      backoff  = "10s"
      max      = "5m"
    }
  }
  app "g" {
    command = ["/usr/local/bin/g"]
    restart {
      attempts = 2
      within   = "30s"
      backoff  = "10s"
    }
  }
  app "h" {
    command = ["/usr/local/bin/h"]
    restart {
      attempts = 5
      within   = "10m"
      backoff  = "10s"
      max      = "1m"
      reset    = "5m"
    }
  }
  app "i" {
    command = ["/usr/local/bin/i"]
    restart {
      attempts = 8
      within   = "1m"
    }
  }
  app "j" {
    command = ["/usr/local/bin/j"]
    restart {
      attempts = 3
      within   = "10s"
      backoff  = "1s"
    }
  }
  app "k" {
    command = ["/usr/local/bin/k"]
    restart {
      attempts = 100
      within   = "24h"
    }
  }
}

# Two apps, the second in front of the first, and a check that asks through both.

variable "port" {
  default = 8780 # the front's; the one behind it takes the next
}

variable "greeting" {
  default = "Hello"
}

service "hello" {
  description = "A greeting and the page in front of it"

  app "greeting" {
    command = ["bin/quickstart-web", "--listen", hostport("127.0.0.1", var.port + 1), "--say", var.greeting]
    cwd     = lookup(node.labels, "home", "/usr/local")

    check "tcp" "port" {
      address = hostport("127.0.0.1", var.port + 1)
      every   = "1s"
    }
  }

  app "front" {
    command = ["bin/quickstart-web", "--listen", hostport("127.0.0.1", var.port), "--ask", "http://${hostport("127.0.0.1", var.port + 1)}/"]
    cwd     = lookup(node.labels, "home", "/usr/local")
    ready   = "check" # it has started once the page is there
    after   = [app.greeting]

    check "http" "page" {
      url     = "http://${hostport("127.0.0.1", var.port)}/"
      body    = var.greeting
      every   = "500ms"
      timeout = "400ms"
      fall    = 2
    }
  }
}

# Secrets that stand in the file.
variable "pw" {
#        ^^^^ SV0402 "PGPASSWORD" stands in the file
  default = "an example"
}

variable "port" {
  default = 80
}

service "open" {
  app "main" {
    command = ["/usr/bin/main", "--password=an example", "--password-file=pw", "--port=${var.port}"]
#                               ^^^^^^^^^^^^^^^^^^^^^^^ SV0402 "--password" stands in the file
    env = {
      PGPASSWORD   = var.pw
      DB_PASSWORD  = "an example"
#                    ^^^^^^^^^^^^ SV0402 "DB_PASSWORD" stands in the file
      DATABASE_URL = "postgres://me:example@db/main"
#                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0402 the password in "DATABASE_URL" stands in the file
      TOKEN        = secret("token")
      TOKEN_TTL    = "60s"
    }
    check "http" "page" {
      url      = "http://localhost"
      password = "an example"
#                ^^^^^^^^^^^^ SV0402 "password" stands in the file
    }
  }
  app "dump" {
    command = ["/usr/bin/mysqldump", "-u", "me", "-pexample", "main"]
#                                                ^^^^^^^^^^^ SV0402 the password behind "-p" stands in the file
    env     = { PASSWORD = var.pw } # it is told above
  }
}

variable "replication_password" {
#        ^^^^^^^^^^^^^^^^^^^^^^ SV0402 "replication_password" stands in the file
  default = "hunter2"
}

service "renamed" {
  app "main" {
    command = ["/bin/renamed"]
    env     = { DB = var.replication_password }
  }
}

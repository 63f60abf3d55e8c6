variable "token_ttl" {
  default = "15m"
}

variable "password_min_length" {
  default = "12"
}

service "auth" {
  app "auth" {
    command = [
      "/usr/local/bin/auth", "--token-ttl", var.token_ttl, "--secret-file=/etc/auth/key", "--password-file", "/etc/auth/password",
      "--token=file:/etc/auth/token", "--csrf-token-header-name=X-CSRF-Token", "--max-tokens=100", "--db=postgres://auth@db.example.org:5432/auth?sslmode=verify-full",
      "--no-password", "--tokenizer=bert", "--reset-password=false",
    ]
    env = {
      DATABASE_URL           = "postgres://auth@db.example.org/auth"
      REDIS_URL              = "redis://cache.example.org:6379/0"
      SMTP_PASSWORD_FILE     = "/etc/auth/smtp"
      PASSWORD_MIN_LENGTH    = var.password_min_length
      CSRF_TOKEN_HEADER_NAME = "X-CSRF-Token"
      TOKEN_TTL              = var.token_ttl
      SECRET_NAME            = "auth/prod"
      API_KEY                = secret("auth-api-key")
      SESSION_SECRET         = secret("auth-session")
      LOG_SECRETS            = "false"
      ALLOW_EMPTY_PASSWORD   = "no"
      AUTH_REQUIRE_TOKEN     = "true"
      VAULT_TOKEN            = "$${VAULT_TOKEN}"
      SECRET_KEY_BASE_FILE   = "/etc/auth/base"
      KEY_ID                 = "2024-01"
      PUBLIC_KEY             = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 deploy"
    }
    credentials = { tls_key = secret("auth-tls") }
  }

  app "proxy" {
    command = ["/usr/bin/socat", "-p8080", "TCP-LISTEN:8080,fork", "TCP:127.0.0.1:80"]
  }

  task "report" {
    schedule = "0 6 * * 1"
    command  = ["/bin/sh", "-c", "mysql -u report -p\"$MYSQL_PASS\" -h db -P 3306 -e 'select 1' | mail -s report ops@example.org"]
    env      = { MYSQL_PASS = secret("report-db") }
  }

  task "status" {
    schedule = "@hourly"
    command  = ["mysqladmin", "--defaults-extra-file=/etc/auth/my.cnf", "--protocol=socket", "status"]
  }

  container "web" {
    image    = "registry.example.com/auth:1"
    username = "deploy"
    password = secret("registry")
    env      = { OIDC_CLIENT_SECRET_FILE = "/run/svcctl-credentials/oidc", PROXY = "http://proxy.example.org:3128" }

    credentials = { oidc = secret("oidc") }
  }
}

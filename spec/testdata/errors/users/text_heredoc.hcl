service "y" {
  app "a" {
    command = ["/bin/sh", "-c", <<EOT
#                               ^^^^^ SV0101 text without its end
    echo
    ]
  }
}

# What looks like a block inside text or a comment is none.
service "a" {
  app "m" {
    command = ["sh", "-c", <<EOT
service "b" {
  nonsense = 1
}
EOT
    ]
    nice = 1 2
#            ^ SV0101 missing newline after argument
  }
  /*
  app "n" {
    nonsense = 1
  }
  */
}
/*
service "c" {
  nonsense = 1
}
*/
variable "v" {
  defalt = 1
# ^^^^^^ SV0104 variable has no argument "defalt"
}

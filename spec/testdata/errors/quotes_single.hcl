service "single" {
  description = 'abc'
#               ^^^^^ SV0101 invalid character
  rto         = "5s" rpo = "3s"
}

locals {
  zero = 0
  none = 1 / local.zero
#        ^^^^^^^^^^^^^^ SV0301 division by zero
  rest = 5 % 0
#        ^^^^^ SV0301 division by zero
  wide = "1e9999999" + 0
#        ^^^^^^^^^^^^^^^ SV0301 the number is too large
  less = -"1e9999999"
#        ^^^^^^^^^^^^ SV0301 the number is too large
  list = [for n in [1, 0] : 6 / n]
#                           ^^^^^ SV0301 division by zero
  fine = [6 / 4, 0 / 4, 0 % 3, -1, try(1 / 0, 1)]
}

service "numbers" {
  description = tostring(1 / 0)
#                        ^^^^^ SV0301 division by zero
  cpu         = "1e9999999"
#               ^^^^^^^^^^^ SV0305 "cpu" must be a finite number
  memory      = 1 / 0
#               ^^^^^ SV0301 division by zero

  app "text" {
    command = ["/bin/true", "${1 / 0}"]
#                              ^^^^^ SV0301 division by zero
    nice    = "1e9999999"
#             ^^^^^^^^^^^ SV0305 "nice" must be a whole number within reach
    user    = format("%d", "1e9999999")
#             ^^^^^^ SV0301 format() has no result
    env = {
      HASH = format("%s%d", "x12e45678", 1)
      ABS  = abs("1e9999999")
#                 ^^^^^^^^^ SV0301 invalid function argument
      JSON = jsondecode("{\"hash\": \"1e99999\"}").hash
      WIDE = jsondecode("{\"hash\": 1e99999}").hash
#                        ^^^^^^^^^^^^^^^^^^^ SV0301 invalid function argument
    }
  }

  app "reader" {
    command = ["/bin/true", local.none]
  }
}

# Comments that silence findings, and what may be wrong with them.
service "ignored" {
  count = 2 # svcctl:ignore SV0311 it will be scaled in May
  # svcctl:ignore SV0311
# ^^^^^^^^^^^^^^^^^^^^^^ SV0604 svcctl:ignore gives no reason
  max_per_node = 1
  app "main" {
    # svcctl:ignore SV0104 it is only a warning, isn't it
#                   ^^^^^^ SV0605 svcctl:ignore can't silence "SV0104"
    command = ["/usr/bin/main"]
    # svcctl:ignore SV0402, SV0401 nothing is secret here
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SV0606 svcctl:ignore silences no SV0402
    user = "me"
    env  = { PASSWORD = "an example" } # svcctl:ignore it is not one
#                       ^^^^^^^^^^^^ SV0402 "PASSWORD" stands in the file
#                                                      ^^ SV0605 svcctl:ignore can't silence "it"
  }
}

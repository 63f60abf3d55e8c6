service "types" {
  nodes = "n1,n2"
  topology = "active-passive"
  orchestrate = "high-availability"
  count = 50%
#         ^^^ SV0101 a number with a unit is text
  nodes = ["n1"]
# ^^^^^ SV0102 "nodes" is set twice
}

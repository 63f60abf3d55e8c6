locals {
  a = true and false
#          ^^^ SV0101 missing newline after argument
  b = not true
  c = "a" + "b"
  d = [1,2][5]
  e = {a=1}.b
  f = "x"[0]
  g = [1,2].a
  h = true ? "a"
#               ^ SV0101 missing false expression in conditional
  i = 5 == "5" ? 1 : [2]
}
service "y" {
}

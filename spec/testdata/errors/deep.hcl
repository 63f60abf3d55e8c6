locals {
  cube = [for a in [1] : [for b in [1] : [for c in [1] : c]]]
#                                        ^^^^^^^^^^^^^^^^^^ SV0006 nested too deeply
}

# A mistake in a set without a service has no consequence: what is missing may hang on it.
locals {
  zero = 1 / 0
#        ^^^^^ SV0301 division by zero
}

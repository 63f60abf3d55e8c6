service "y" {
  app "a" {
    command = ['/bin/true']
#              ^^^^^^^^^^^ SV0101 invalid character
  }
}

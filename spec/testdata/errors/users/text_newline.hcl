service "y"
#          ^ SV0101 invalid block definition
{
  app "a" {
    command = ["/bin/sh"]
  }
}

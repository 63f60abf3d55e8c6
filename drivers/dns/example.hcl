# A name server of our own must answer for its zone, and by an address of the service.
service "names" {
  ip "vip" {
    address   = "192.0.2.53/24"
    interface = "eth0"
  }

  app "named" {
    command = ["/usr/sbin/named", "-f", "-u", "bind"]
    after   = [ip.vip]

    check "dns" "zone" {
      server        = ip.vip.host
      name          = "www.example.com"
      type          = "A"
      expect        = ["192.0.2.80"]
      authoritative = true
      every         = "5s"
      timeout       = "2s"
      fall          = 3
    }
  }
}

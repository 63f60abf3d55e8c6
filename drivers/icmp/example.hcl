# The service's address is of use only while the gateway can be reached from here.
service "edge" {
  ip "vip" {
    address   = "192.0.2.10/24"
    interface = "eth0"

    check "icmp" "gateway" {
      host      = "192.0.2.1"
      interface = "eth0"
      count     = 5
      interval  = "100ms"
      max_loss  = 40
      max_rtt   = "50ms"
      every     = "5s"
      timeout   = "2s"
      fall      = 3
      on_fall   = "report"
    }
  }
}

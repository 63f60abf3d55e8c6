service "orders" {
  description = "Bestellungen für 𝔒rders"

  ip "vip" {
    address   = "10.0.0.10/24" /* 𝔒 */
    /* 𝔒 */ intrface = "eth0"
  }

  app "main" {
      command = ["/usr/local/bin/orders", local.listen, "--vip", ip.vip.host]
    env = { listen = var.listen }
    user   =   "nobody"
  }
}

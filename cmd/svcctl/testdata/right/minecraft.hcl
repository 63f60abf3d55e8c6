# Game servers: numbered ports, udp and tcp, one world each.
variable "first" {
  default = 25565
}

service "games" {
  container "world" {
    for_each = { survival = 0, creative = 1, lobby = 2 }
    image    = "docker.io/itzg/minecraft-server:latest"
    ports    = ["${var.first + each.value}:25565/tcp", "${var.first + each.value}:25565/udp"]
    volumes  = ["/srv/games/${each.key}:/data"]
    env      = { EULA = "TRUE", RCON_PORT = "25575", ENABLE_RCON = "true" }
    memory   = "4G"
  }
}

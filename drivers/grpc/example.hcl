# A program that tells of its own health, and of one of its services.
service "ledger" {
  app "ledger" {
    command = ["/usr/local/bin/ledger", "--listen", "127.0.0.1:50051"]

    check "grpc" "ready" {
      address        = "127.0.0.1:50051"
      health_service = "bank.v1.Ledger"
      every          = "5s"
      timeout        = "2s"
      fall           = 2
    }
  }
}

# Three brokers, one for each node: same ports, same unit names, other disks.
service "kafka-1" {
  nodes = ["n1"]
  mount "log" {
    device = "/dev/sdb1"
    path   = "/var/lib/kafka"
    type   = "xfs"
  }
  systemd "kafka" {
    unit  = "kafka.service"
    after = [mount.log]
  }
}

service "kafka-2" {
  nodes = ["n2"]
  mount "log" {
    device = "/dev/sdb1"
    path   = "/var/lib/kafka"
    type   = "xfs"
  }
  systemd "kafka" {
    unit  = "kafka.service"
    after = [mount.log]
  }
}

service "kafka-3" {
  nodes = ["n3"]
  mount "log" {
    device = "/dev/sdb1"
    path   = "/var/lib/kafka"
    type   = "xfs"
  }
  systemd "kafka" {
    unit  = "kafka.service"
    after = [mount.log]
  }
}

service "kafka-ui" {
  requires = ["kafka-1", "kafka-2", "kafka-3"]
  container "ui" {
    image = "docker.io/provectuslabs/kafka-ui:v0.7.2"
    ports = ["8090:8080"]
    env   = { KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS = "n1:9092,n2:9092,n3:9092" }
  }
}

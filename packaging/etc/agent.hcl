# The agent of this node, read when it starts (systemctl restart svcctl-agent leaves services running).
# What is left out has its default: the node's name is the host's.

services {
  dir = "/etc/svcctl/services"
}

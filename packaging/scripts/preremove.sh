#!/bin/sh
# Before a removal: services stop in order, then the agent and the keeper. An upgrade stops nothing.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now svcctl-services.service >/dev/null 2>&1 || :
systemctl disable --now svcctl-agent.service >/dev/null 2>&1 || :
systemctl disable --now svcctl-keeper.service >/dev/null 2>&1 || :

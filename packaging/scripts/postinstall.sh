#!/bin/sh
# After an installation or upgrade. deb says "configure [OLD VERSION]", rpm how many versions there are.
set -e
old=
case "$1" in
configure) old=$2 ;;
1) ;;
[2-9]) old=before ;;
*) exit 0 ;;
esac
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || :
if [ -z "$old" ]; then
	systemctl enable svcctl-keeper.service svcctl-agent.service svcctl-services.service >/dev/null 2>&1 || :
	if [ ! -x /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d svcctl-agent start; then
		systemctl start svcctl-keeper.service svcctl-agent.service svcctl-services.service || :
	fi
else
	# The keeper, whose children the services are, takes up its new program and stays the same process; one that can't goes on
	# with its old one. It is never restarted: that would end the services.
	if systemctl -q is-active svcctl-keeper.service; then
		systemctl reload svcctl-keeper.service || echo "svcctl: the keeper goes on with its old program until the next boot (journalctl -u svcctl-keeper says why)" >&2
	fi
	# The agent begins anew and adopts what runs: no service notices.
	systemctl try-restart svcctl-agent.service || :
fi

#!/bin/sh
# After a removal: what services wrote stays. deb's purge removes what svcctl itself remembers.
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
if [ "$1" = purge ]; then
	# What somebody mounted below is not ours, and no reason to fail.
	rm -rf --one-file-system /var/lib/svcctl /run/svcctl || :
	# Secrets and services are the administrator's: only empty folders go.
	rmdir /etc/svcctl/secrets /etc/svcctl/services /etc/svcctl 2>/dev/null || :
fi

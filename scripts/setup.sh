#!/usr/bin/env bash
# Installs what the tests need, where that is possible, and says what is missing where it is not.
# Usage: scripts/setup.sh COMMAND=PACKAGE…
set -u
missing=()
packages=()
for pair in "$@"; do
	command=${pair%%=*}
	package=${pair#*=}
	if ! command -v "$command" >/dev/null 2>&1 && [ ! -x "/usr/sbin/$command" ] && [ ! -x "/usr/lib/podman/$command" ] && [ ! -x "/usr/lib/nagios/plugins/$command" ] && ! compgen -G "/usr/lib/postgresql/*/bin/$command" >/dev/null; then
		missing+=("$command")
		packages+=("$package")
	fi
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "not root: what needs ${missing[*]} is skipped (as root: apt-get install ${packages[*]})"
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "no apt-get here: what needs ${missing[*]} is skipped (install them by hand)"
	exit 0
fi
echo "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# policy-rc.d: a package's own service must not start beside the tests.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	trap 'rm -f "$log" /usr/sbin/policy-rc.d' EXIT
fi
for try in 1 2 3; do
	if apt-get update >"$log" 2>&1 && apt-get install -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
		exit 0
	fi
	echo "apt-get failed (try $try of 3)"
done
tail -n 20 "$log"
exit 1

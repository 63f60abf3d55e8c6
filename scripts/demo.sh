#!/usr/bin/env bash
# Shows what svcctl does, with its real output: a service that starts, an app that is killed and healed, a live
# edit, a broken edit that is refused; then, where root is, a PostgreSQL on a disk and an address of its own.
# Usage: scripts/demo.sh. Builds into ./bin, works in a folder of its own, and removes all of it again.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
home=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/svcctl-demo.XXXXXX")
chmod 755 "$work" # the database runs as another user
space=svcctl-demo-$$
agent=      # process of the agent that runs now
run=        # its run directory
interface=  # of the host, into the client's namespace
failed=yes

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }

# show prints a command as one would type it, and runs it.
show() {
	local word line=
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./:=,+-]*) line+=" '$word'" ;;
		*) line+=" $word" ;;
		esac
	done
	printf '\033[2m$%s\033[0m\n' "$line"
	"$@"
}

svcctl() { "$home/bin/svcctl" --server "unix://$run/agent.sock" "$@"; }

# within SECONDS COMMAND… waits until a command succeeds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "demo: waited in vain for: $*" >&2
			return 1
		fi
		read -r -t 0.1 <> <(:) || :
	done
}

# begin FOLDER starts the agent whose agent.hcl lies there.
begin() {
	run=$1/run
	printf '\033[2m$ bin/svcctl agent --config %s &\033[0m\n' "$1/agent.hcl"
	"$home/bin/svcctl" agent --config "$1/agent.hcl" --stop-on-exit 2>"$1/agent.log" &
	agent=$!
	within 20 svcctl status
}

# finish stops the services in order and waits for the agent.
finish() {
	[ -n "$agent" ] || return 0
	kill "$agent" 2>/dev/null || :
	wait "$agent" || :
	agent=
}

# keepers prints the processes that held the demo's apps. They end by themselves, some
# seconds after nobody needs them.
keepers() {
	local f words
	for f in /proc/[0-9]*/cmdline; do
		words=$(tr '\0' ' ' <"$f") 2>/dev/null || continue
		if [[ $words == *"keeper --run $work/"* ]]; then
			basename "$(dirname "$f")"
		fi
	done 2>/dev/null
}

no_keeper() { [ -z "$(keepers)" ]; }

cleanup() {
	trap '' INT TERM
	finish
	if [ "$failed" = yes ] && [ -n "$run" ]; then
		echo "demo: it failed; the end of the agent's log:" >&2
		tail -n 20 "${run%/run}/agent.log" >&2 || :
	fi
	if ! within 20 no_keeper; then
		keepers | xargs -r kill -9 || : # what it holds ends with it
	fi
	if mountpoint -q "$work/postgres/data" 2>/dev/null; then umount "$work/postgres/data" || umount -l "$work/postgres/data"; fi
	if [ -e "$work/postgres/orders.img" ]; then
		losetup -n -O NAME -j "$work/postgres/orders.img" | xargs -r losetup -d || :
	fi
	if [ -n "$interface" ]; then
		ip link del "$interface" 2>/dev/null || :
		ip netns del "$space" 2>/dev/null || :
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# pid_of ADDRESS prints the main process of an app.
pid_of() { svcctl status --json | tr -d ' \n' | sed -n "s|.*\"address\":\"$1\",[^}]*\"pid\":\([0-9]*\).*|\1|p"; }

another_than() { local now; now=$(pid_of "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }

spec_is() { svcctl status --json | tr -d ' \n' | grep -q "\"state\":\"$1\",\"valid\""; }

revision_is() { svcctl status --json | tr -d ' \n' | grep -q "\"revision\":$1,"; }

is_up() { svcctl status --json "$1" | tr -d ' \n' | grep -q "\"name\":\"$1\",\"namespace\":\"default\",\"topology\":\"failover\",\"state\":\"up\""; }

page_says() { page | grep -q "$1"; }

page() { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'GET / HTTP/1.0\r\n\r\n' >&3; tail -n 1 <&3; echo; exec 3>&-; }

free_port() {
	local p
	for p in 8780 18780 28780 38780; do
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null && ! (exec 3<>"/dev/tcp/127.0.0.1/$((p + 1))") 2>/dev/null; then
			echo "$p"
			return
		fi
	done
	echo "demo: the ports 8780, 18780, 28780 and 38780 are all taken" >&2
	return 1
}

quickstart() {
	local it=$work/quickstart old
	cp -r examples/quickstart "$it"
	rm -rf "$it/run"
	port=$(free_port)
	sed -i "s/= 8780/= $port/" "$it/services/hello.hcl"
	sed -i "/^metrics/,\$d" "$it/agent.hcl" # a port less that may be taken

	say "A service of two apps, the second in front of the first, with an HTTP check. Are its files right?"
	show bin/svcctl validate "$it/services"
	show bin/svcctl graph "$it/services" || :

	say "An agent starts it: in order, and up means that the check has passed."
	begin "$it"
	within 30 is_up hello
	show svcctl status hello
	page

	say "One of its apps is killed. The agent hears of it from the kernel and starts it again."
	old=$(pid_of hello/app.greeting)
	show kill -9 "$old"
	within 30 another_than hello/app.greeting "$old"
	within 30 is_up hello
	svcctl events hello | tail -n 12
	within 30 page_says Hello
	page

	say "A live edit: the greeting changes. It and the page that depends on it get a new process."
	old=$(pid_of hello/app.greeting)
	show sed -i 's/"Hello"/"Good evening"/' "$it/services/hello.hcl"
	within 30 another_than hello/app.greeting "$old"
	within 30 is_up hello
	within 30 page_says "Good evening"
	show svcctl status hello
	page

	say "Another: a check is to be made less often. No process changes for that."
	old=$(pid_of hello/app.greeting)
	show sed -i 's/"1s"/"2s"/' "$it/services/hello.hcl"
	within 30 revision_is 3
	show svcctl status hello
	[ "$(pid_of hello/app.greeting)" = "$old" ]

	say "A broken edit: a misspelt word. It is refused with its place, and nothing that runs is touched."
	old=$(pid_of hello/app.front)
	show sed -i 's/ready  /redy   /' "$it/services/hello.hcl"
	within 30 spec_is invalid
	show svcctl status hello
	[ "$(pid_of hello/app.front)" = "$old" ]
	page

	say "The agent ends with its services, in reverse order."
	finish
	svcctl status || echo "(exit code $?)"
}

postgres() {
	local it=$work/postgres
	if [ "$(id -u)" -ne 0 ]; then
		say "Skipped, since it needs root: the PostgreSQL example (sudo make demo shows it)."
		return
	fi
	say "PostgreSQL on a file system and an address of its own. What it needs of Debian:"
	if ! scripts/setup.sh mkfs.ext4=e2fsprogs ip=iproute2 initdb=postgresql psql=postgresql-client; then
		echo "Skipped: the packages can't be installed here."
		return
	fi
	echo "present: e2fsprogs iproute2 postgresql"
	interface=pg$(($$ % 100000))
	if ! ip netns add "$space" 2>"$work/why" || ! ip link add "$interface" type veth peer name eth0 netns "$space" 2>"$work/why"; then
		echo "Skipped: no network namespace can be made here: $(cat "$work/why")"
		ip netns del "$space" 2>/dev/null || :
		interface=
		return
	fi
	ip address add 10.77.0.1/24 dev "$interface"
	ip link set "$interface" up
	ip -n "$space" address add 10.77.0.2/24 dev eth0
	ip -n "$space" link set eth0 up
	cp -r examples/postgres "$it"
	rm -rf "$it/run"
	sed -i "s|\"/var/tmp/svcctl-orders.img\"|\"$it/orders.img\"|; s|\"/srv/svcctl-orders\"|\"$it/data\"|; s|\"pg0\"|\"$interface\"|" "$it/services/orders.hcl"

	say "The agent makes the disk, the file system, the address and the database, each once what it is after is up."
	begin "$it"
	within 120 is_up orders
	show svcctl status orders

	say "Another host, in a network namespace, asks it through the address."
	ask

	say "PostgreSQL is killed, its address removed by hand, its file system unmounted by hand: each is healed."
	lose kill -9 "$(pid_of orders/app.postgres)"
	lose ip address del 10.77.0.10/24 dev "$interface"
	lose umount -l "$it/data"
	svcctl events orders | grep -E 'failed|lost|down' | tail -n 12 || :
	show svcctl status orders
	ask
	finish
}

losses() { svcctl events --json orders | grep -c '"to":"failed"' || :; }

lost_more_than() { [ "$(losses)" -gt "$1" ]; }

# lose COMMAND… takes something away and waits until it was noticed and is healed.
lose() {
	local before
	before=$(losses)
	show "$@"
	within 30 lost_more_than "$before"
	within 60 is_up orders
}

query() {
	PGPASSWORD="an example, so everybody may know it" nsenter --net="/run/netns/$space" -- \
		psql -X -w -h 10.77.0.10 -U postgres -c "select 'orders answers' as what, inet_server_addr() as from"
}

ask() {
	within 30 query
	query
}

mkdir -p bin
say "Building svcctl into ./bin"
${MAKE:-make} -s build GO="$GO"
CGO_ENABLED=0 "$GO" build -o bin/quickstart-web ./examples/quickstart/web
quickstart
postgres
within 20 no_keeper
failed=no
say "Done. Nothing is left running."

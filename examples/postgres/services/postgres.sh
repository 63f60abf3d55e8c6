# Runs PostgreSQL on a data directory, which it makes first where there is none.
set -eu
home=$1 host=$2
data=$home/main
for bin in /usr/lib/postgresql/*/bin; do :; done # the newest that Debian has here
if [ ! -x "$bin/postgres" ]; then
	echo "cannot find PostgreSQL in /usr/lib/postgresql (apt-get install postgresql)" >&2
	exit 1
fi

if [ ! -d "$data" ]; then
	# Half a database is never taken for a whole one: only the rename makes it.
	rm -rf "$home/new"
	umask 077
	printf '%s\n' "$PGPASSWORD" >"$home/password"
	"$bin/initdb" --pgdata="$home/new" --pwfile="$home/password" --auth=scram-sha-256 --encoding=UTF8 --no-locale
	rm "$home/password"
	echo "host all all samenet scram-sha-256" >>"$home/new/pg_hba.conf"
	sync -f "$home/new"
	mv "$home/new" "$data"
fi
exec "$bin/postgres" -D "$data" -c listen_addresses="$host" -c unix_socket_directories="$data"

#!/usr/bin/env bash
# Draws the manual's pictures of svcctl top from a real agent: scripts/picture.sh (make pictures).
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
work=$(mktemp -d "${TMPDIR:-/tmp}/svcctl-picture.XXXXXX")
agent=
clean() {
	[ -z "$agent" ] || { kill "$agent" 2>/dev/null || :; wait "$agent" || :; }
	rm -rf "$work"
}
trap clean EXIT
mkdir -p "$work/services" docs/pictures
cat >"$work/services/shop.hcl" <<'HCL'
service "orders" {
  app "queue" {
    command = ["/bin/sh", "-c", "while :; do echo $(date +%T) waiting for work; sleep 1; done"]
  }
  app "main" {
    command = ["/bin/sh", "-c", "echo listening on 8080; exec sleep 1000"]
    after   = [app.queue]
    check "exec" "alive" {
      command = ["/bin/true"]
    }
  }
}
service "mail" {
  app "smtp" {
    command = ["/bin/sleep", "1000"]
  }
}
service "reports" {
  orchestrate = "manual"
  app "nightly" {
    command = ["/bin/sleep", "1000"]
  }
}
service "search" {
  app "index" {
    command = ["/bin/sh", "-c", "echo the index is damaged >&2; exit 3"]
    restart {
      attempts = 1
      within   = "1m"
    }
  }
}
HCL
cat >"$work/agent.hcl" <<HCL
node {
  name = "n1"
}
services {
  dir = "$work/services"
}
state {
  dir = "$work/state"
  run = "$work/run"
}
metrics {
  listen = "127.0.0.1:8797"
}
HCL
bin/svcctl agent --config "$work/agent.hcl" --stop-on-exit 2>"$work/log" &
agent=$!
top=("$PWD/bin/svcctl" --server "unix://$work/run/agent.sock" top)
end=$((SECONDS + 20))
until bin/svcctl --server "unix://$work/run/agent.sock" status >/dev/null 2>&1; do
	[ "$SECONDS" -lt "$end" ] || { cat "$work/log" >&2; exit 1; }
	read -r -t 0.1 <> <(:) || :
done
"$GO" run ./internal/picture -o docs/pictures/top.svg -steps 'wait:1 failed;wait:2 up;type:jj;wait:> reports' "${top[@]}"
"$GO" run ./internal/picture -o docs/pictures/top-service.svg -steps 'wait:> mail;type:j\r;wait:check alive;type:j;type:f;wait:reason;type:new disk;wait:new disk' "${top[@]}"

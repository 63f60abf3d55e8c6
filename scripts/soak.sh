#!/usr/bin/env bash
# Repeats the tests that break things until a number of rounds, and keeps what they said.
# Usage: scripts/soak.sh [ROUNDS] [TESTS]; the second is a pattern for go test -run.
set -eu -o pipefail
cd "$(dirname "$0")/.."
rounds=${1:-${ROUNDS:-20}}
tests=${2:-${TESTS:-.}}
mkdir -p docs/results
out=docs/results/soak-$(date -u +%Y%m%dT%H%M%SZ).txt
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
go test -c -race -o "$binary" ./internal/e2e
{
	echo "# scripts/soak.sh $rounds $tests"
	echo "# $(git describe --tags --always --dirty 2>/dev/null || echo unknown), $(go env GOVERSION), $(uname -sr), $(nproc) cores"
} | tee "$out"
failed=0
for round in $(seq "$rounds"); do
	began=$(date +%s)
	log=$(mktemp)
	if (cd internal/e2e && "$binary" -test.run "$tests" -test.v -test.timeout 20m) >"$log" 2>&1; then
		verdict=passed
	else
		verdict=FAILED
		failed=$((failed + 1))
	fi
	grep -q '^ *--- PASS' "$log" || { verdict="FAILED (no test ran)"; failed=$((failed + 1)); }
	skipped=$(grep -c '^ *--- SKIP' "$log" || true)
	passed=$(grep -c '^ *--- PASS' "$log" || true)
	echo "round $round $verdict in $(($(date +%s) - began)) s: $passed tests passed, $skipped skipped" | tee -a "$out"
	[ "$verdict" = passed ] || tail -n 60 "$log" | sed 's/^/    /' | tee -a "$out"
	rm -f "$log"
done
echo "$rounds rounds, $failed failed: $out" | tee -a "$out"
[ "$failed" -eq 0 ]

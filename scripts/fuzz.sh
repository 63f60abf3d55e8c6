#!/usr/bin/env bash
# Runs every fuzz target for a while: scripts/fuzz.sh 3s
set -eu
time=${1:-3s}
go list -f '{{.ImportPath}} {{.Dir}} {{join .TestGoFiles ","}},{{join .XTestGoFiles ","}}' ./... |
	while read -r package dir files; do
		for file in ${files//,/ }; do
			grep -oE '^func Fuzz[A-Za-z0-9_]+' "$dir/$file" 2>/dev/null || true
		done | sed 's/^func //' | while read -r target; do
			echo "fuzz $target for $time"
			out=$(go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel 2 2>&1) || { echo "$out"; exit 1; }
			echo "$out" | tail -n 2 | head -n 1
		done
	done

#!/usr/bin/env bash
# Builds dist/svcctl_VERSION_ARCH.deb and .rpm with nfpm: scripts/packages.sh [ARCH…] (make packages).
# VERSION and OUT may be given in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
OUT=${OUT:-dist}
described=$(git describe --tags --always 2>/dev/null || echo unknown)
case $described in
v[0-9]*) version=${described#v} ;;
*) version=0.0.0+$(git log -1 --format=%cd --date=format:%Y%m%d%H%M%S 2>/dev/null || echo 0).$described ;;
esac
export VERSION=${VERSION:-${version//-/+}} # "-" parts version and release
mkdir -p "$OUT"
build=$(mktemp -d "${TMPDIR:-/tmp}/svcctl-packages.XXXXXX")
trap 'rm -rf "$build"' EXIT
"$GO" build -modfile=packaging/go.mod -o "$build/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
"$GO" test ./cmd/svcctl -run TestManualPagesAreMade -count=1 -args -man "$build" >/dev/null
gzip -9n "$build"/man?/*
for ARCH in "${@:-$("$GO" env GOARCH)}"; do
	export ARCH
	CGO_ENABLED=0 GOARCH=$ARCH "$GO" build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o "$build/" ./cmd/svcctl ./cmd/svcctl-keeper
	if [ ! -d "$build/completion" ]; then
		mkdir "$build/completion"
		CGO_ENABLED=0 "$GO" run ./cmd/svcctl completion bash >"$build/completion/svcctl.bash"
		CGO_ENABLED=0 "$GO" run ./cmd/svcctl completion zsh >"$build/completion/_svcctl"
		CGO_ENABLED=0 "$GO" run ./cmd/svcctl completion fish >"$build/completion/svcctl.fish"
	fi
	sed "s#\${BUILD}#$build#" packaging/nfpm.yaml >"$build/nfpm.yaml"
	for kind in deb rpm; do "$build/nfpm" package --config "$build/nfpm.yaml" --packager $kind --target "$OUT/"; done
done

# Two targets do everything on a fresh Debian with Go: make demo, make test.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.release=$(VERSION)
FUZZTIME ?= 3s
SEEDS ?= 2000
TEST_TOOLS := mkfs.ext4=e2fsprogs mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs ip=iproute2 nft=nftables \
	initdb=postgresql psql=postgresql-client fuser=psmisc ps=procps losetup=mount unshare=util-linux \
	rsync=rsync promtool=prometheus arping=iputils-arping vim=vim-tiny perl=perl-base \
	debootstrap=debootstrap man=man-db rpm=rpm mariadbd=mariadb-server \
	check_load=monitoring-plugins-basic ping=iputils-ping nsenter=util-linux systemctl=systemd curl=curl dockerd=docker.io iptables=iptables \
	podman=podman runc=runc conmon=conmon netavark=netavark nvim=neovim git=git patch=patch pre-commit=pre-commit
PEER_TOOLS := runsv=runit s6-svscan=s6 supervisord=supervisor promtool=prometheus haproxy=haproxy nginx=nginx monit=monit

.PHONY: build demo test setup lint unit fuzz sim soak bench bench-peers docs pictures packages clean

build: ## bin/svcctl and bin/svcctl-keeper
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./cmd/svcctl ./cmd/svcctl-keeper

demo: build ## run the quickstart, and the PostgreSQL example where root is
	scripts/demo.sh

test: setup lint ## everything that CI runs
	scripts/fuzz.sh $(FUZZTIME)
	$(GO) run ./internal/testreport -known docs/not-run-here.md < <($(GO) test -json -race -count=1 -timeout 20m ./... || true)

setup:
	scripts/setup.sh $(TEST_TOOLS)

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz.sh $(FUZZTIME)

sim: ## random worlds: make sim SEEDS=20000
	$(GO) test ./engine -run World -count=1 -timeout 2h -args -seeds $(SEEDS)

soak: build ## the failure tests again and again; dated output under docs/results
	scripts/soak.sh

bench: build ## figures, into docs/performance.md
	$(GO) test -run '^$$' -bench . -benchmem ./engine ./spec ./keeper ./drivers/...
	$(GO) run ./internal/bench -write docs/performance.md

bench-peers: ## the same with every peer that Debian has
	scripts/setup.sh $(PEER_TOOLS)
	$(MAKE) bench

docs: ## regenerate what is generated
	$(GO) test ./cmd/svcctl ./internal/walls -run Generated -count=1 -args -update
	$(GO) test ./engine -run Worlds -count=1 -args -update

packages: ## dist/svcctl_*.deb and .rpm
	scripts/packages.sh

pictures: build ## draw the manual's pictures of svcctl top anew
	scripts/picture.sh

clean:
	rm -rf bin

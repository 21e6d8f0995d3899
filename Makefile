# `make demo` and `make test` do everything a new machine needs; see README.md.

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift

programs = hordelink-supervisor hordelink-uplink hordelink-listener hordelinkctl
libexecdir = $(PREFIX)/lib/hordelink
unitdir = $(PREFIX)/lib/systemd/system

.PHONY: build test demo bench-signatures bench-backlog simulate faults install lint format setup clean

build: setup
	$(SWIFT) build -c release

setup:
	@script/setup

demo: build
	.build/release/hordelink-demo

# Our signatures beside PyPI's, docs/benchmarks/signatures.md; fetches two packages into a temporary folder.
bench-signatures: setup
	$(SWIFT) build -c release --product hordelink-bench-signatures
	Benchmarks/signatures .build/release/hordelink-bench-signatures

# The whole system in simulated time, one seed after the other: make simulate SEEDS=100000; a finding replays with
# SEED=, and TRACE=1 prints what happens.
SEEDS ?= 1000
SEED ?=
simulate: setup
	$(SWIFT) build -c release --product hordelink-simulate
	.build/release/hordelink-simulate --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace)

# Real processes under load, killed KILLS times; the debug build, whose failpoints die at chosen steps.
KILLS ?= 1000
faults: setup
	$(SWIFT) build
	.build/debug/hordelink-faults --kills $(KILLS) $(if $(SEED),--seed $(SEED))

# What a backlog of a million updates costs, docs/benchmarks/backlog.md.
bench-backlog: build
	.build/release/hordelink-bench-backlog

test: setup lint
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Benchmarks Sources Tests

format:
	$(SWIFT) format format --in-place --recursive Package.swift Benchmarks Sources Tests

# Puts the programs in one folder, where they find each other, and links those that people start to bin.
# Built beforehand as whoever has the toolchain, so that root needs none.
install:
	@test -x .build/release/hordelink-supervisor || $(MAKE) build
	install -d $(DESTDIR)$(libexecdir) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(unitdir) \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/share/doc/hordelink
	for program in $(programs); do \
	  install -s -m 755 .build/release/$$program $(DESTDIR)$(libexecdir)/$$program || exit 1; \
	done
	for program in hordelink-supervisor hordelinkctl; do \
	  ln -sf ../lib/hordelink/$$program $(DESTDIR)$(PREFIX)/bin/$$program || exit 1; \
	done
	sed 's|@libexecdir@|$(libexecdir)|g' units/hordelink.service | \
	  install -m 644 /dev/stdin $(DESTDIR)$(unitdir)/hordelink.service
	install -m 644 units/hordelink.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/hordelink.conf
	install -m 644 units/hordelink.toml README.md docs/DESIGN.md docs/PROTOCOL.md \
	  $(DESTDIR)$(PREFIX)/share/doc/hordelink/

clean:
	rm -rf .build

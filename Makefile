# `make demo` and `make test` do everything a new machine needs; see README.md.

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift

programs = hordelink-supervisor hordelink-uplink hordelink-listener hordelink-dispatch-celery hordelinkctl
# Where the programs to install lie.
BUILD ?= .build/release
# /etc for what belongs to the system; a prefix of its own has its own.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
bindir = $(PREFIX)/bin
libexecdir = $(PREFIX)/lib/hordelink
unitdir = $(PREFIX)/lib/systemd/system
catalogdir = $(PREFIX)/lib/systemd/catalog
sysusersdir = $(PREFIX)/lib/sysusers.d
tmpfilesdir = $(PREFIX)/lib/tmpfiles.d
docdir = $(PREFIX)/share/doc/hordelink
mandir = $(PREFIX)/share/man

manpages = $(notdir $(wildcard docs/man/*.[1-8]))
# What stands in units/ are the paths of PREFIX=/usr.
fill = sed -e 's|/usr/lib/hordelink|$(libexecdir)|g' -e 's|/usr/share/doc/hordelink|$(docdir)|g' \
  -e 's|/etc/hordelink|$(SYSCONFDIR)/hordelink|g'

.PHONY: build test demo demo-celery bench bench-check bench-signatures bench-backlog bench-restart bench-redis simulate \
  faults fuzz sanitize power-cut install uninstall deb test-python lint format setup clean

build: setup
	$(SWIFT) build -c release

setup:
	@script/setup

demo: build
	.build/release/hordelink-demo

# Jobs as Celery tasks, with Debian's redis-server and Celery from PyPI: two workers, both channel layers.
demo-celery: build
	@script/python-environment
	PYTHONPATH=clients/python/tests HORDELINK_PROGRAMS=.build/release .build/python/bin/python Tests/Celery/demo.py

# hordelink beside a small client in the original's shape and beside what the machine itself takes: a table, the figures and
# their plots in docs/benchmarks. ONLY=burst,latency measures some of it; QUICK=1 for a fifth of the time, not kept. Fetches
# the peer's packages from PyPI into .build.
ONLY ?=
QUICK ?=
bench: build .build/release/hordelink-bench-exit .build/release/hordelink-bench-started
	@script/peer-environment
	Benchmarks/report $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) .build/release

# The least that programs can be: the C library, statically.
.build/release/hordelink-bench-exit: Benchmarks/Floors/Exit/main.c
.build/release/hordelink-bench-started: Benchmarks/Floors/Started/main.c
.build/release/hordelink-bench-exit .build/release/hordelink-bench-started:
	$(CC) -O2 -static -o $@ $<

# The instructions of an update's way, counted by valgrind, against Benchmarks/budget.json.
bench-check: setup
	$(SWIFT) build -c release --product hordelink-bench-paths
	Benchmarks/check .build/release/hordelink-bench-paths

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

# libFuzzer with the address sanitizer over every parser and every core, MINUTES in all; a crash is an exit code of 1 and
# the input's path. KEEP=1 makes the smallest part of what is covered the corpus in Tests/Fuzz. Takes a build of its own.
MINUTES ?= 15
KEEP ?=
fuzz: setup
	script/fuzz $(MINUTES) $(if $(KEEP),--keep)

# The end-to-end tests under the address and under the thread sanitizer, each with a build of its own: some 15 minutes for
# the builds and 20 for the tests on two cores. ONLY_TESTS= chooses others.
ONLY_TESTS ?= EndToEndTests
sanitize: setup
	script/sanitize address "$(ONLY_TESTS)"
	script/sanitize thread "$(ONLY_TESTS)"

# What a power cut may leave of the record, STATES times: real processes under kills and failed syncs, recorded and replayed.
STATES ?= 10000
power-cut: setup
	$(SWIFT) build
	.build/debug/hordelink-power-cut --states $(STATES) $(if $(SEED),--seed $(SEED))

# What workers wait when a process is killed, and how often an idle service wakes up, docs/benchmarks/restart.md.
bench-restart: build
	.build/release/hordelink-bench-restart

# JOBS jobs at once over each Redis layer, and what their Listeners have in memory, docs/benchmarks/redis.md.
JOBS ?= 1000
bench-redis: build
	.build/release/hordelink-bench-redis $(JOBS)

# What a backlog of a million updates costs, docs/benchmarks/backlog.md.
bench-backlog: build
	.build/release/hordelink-bench-backlog

# The Python package: ruff, mypy, and its tests against the debug build's programs, where there are any.
test-python:
	@script/test-python

test: setup lint
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build
	script/test-python

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Benchmarks Sources Tests

format:
	$(SWIFT) format format --in-place --recursive Package.swift Benchmarks Sources Tests

# Puts the programs in one folder, where they find each other, and links those that people start to bin.
# Built beforehand as whoever has the toolchain, so that root needs none. A process whose user cannot read its program is closed to
# others of that user from its first instruction on (execve(2)); hordelinkctl has nothing to hide.
install:
	@test -x $(BUILD)/hordelink-supervisor || $(MAKE) build
	install -d $(addprefix $(DESTDIR),$(bindir) $(libexecdir) $(unitdir) $(catalogdir) $(sysusersdir) $(tmpfilesdir) \
	  $(docdir)/drop-ins $(docdir)/examples/celery $(foreach page,$(manpages),$(mandir)/man$(subst .,,$(suffix $(page)))))
	for program in $(programs); do \
	  install -s -m 711 $(BUILD)/$$program $(DESTDIR)$(libexecdir)/$$program || exit 1; \
	done
	chmod 755 $(DESTDIR)$(libexecdir)/hordelinkctl
	for program in hordelink-supervisor hordelinkctl; do \
	  ln -sf ../lib/hordelink/$$program $(DESTDIR)$(bindir)/$$program || exit 1; \
	done
	$(fill) units/hordelink.service | install -m 644 /dev/stdin $(DESTDIR)$(unitdir)/hordelink.service
	$(fill) units/hordelink.service | sed -f units/instance.sed | \
	  install -m 644 /dev/stdin $(DESTDIR)$(unitdir)/hordelink@.service
	install -m 644 units/hordelink.sysusers $(DESTDIR)$(sysusersdir)/hordelink.conf
	$(fill) units/hordelink.tmpfiles | install -m 644 /dev/stdin $(DESTDIR)$(tmpfilesdir)/hordelink.conf
	$(fill) units/hordelink.catalog | install -m 644 /dev/stdin $(DESTDIR)$(catalogdir)/hordelink.catalog
	for page in $(manpages); do \
	  sed 's|/usr/share/doc/hordelink|$(docdir)|g' docs/man/$$page | gzip -9nc | \
	    install -m 644 /dev/stdin $(DESTDIR)$(mandir)/man$${page##*.}/$$page.gz || exit 1; \
	done
	$(fill) units/hordelink.toml | install -m 644 /dev/stdin $(DESTDIR)$(libexecdir)/hordelink.toml
	ln -sf ../../../lib/hordelink/hordelink.toml $(DESTDIR)$(docdir)/hordelink.toml
	install -m 644 README.md docs/DESIGN.md docs/PROTOCOL.md $(DESTDIR)$(docdir)/
	install -m 644 units/hordelink.service.d/*.conf $(DESTDIR)$(docdir)/drop-ins/
	$(fill) examples/celery/README.md | install -m 644 /dev/stdin $(DESTDIR)$(docdir)/examples/celery/README.md
	install -m 644 examples/celery/*.py examples/celery/*.toml $(DESTDIR)$(docdir)/examples/celery/

# The configuration, the hotkey and the state directory stay.
uninstall:
	rm -rf $(addprefix $(DESTDIR),$(libexecdir) $(docdir))
	rm -f $(addprefix $(DESTDIR),$(bindir)/hordelink-supervisor $(bindir)/hordelinkctl \
	  $(unitdir)/hordelink.service $(unitdir)/hordelink@.service $(catalogdir)/hordelink.catalog \
	  $(sysusersdir)/hordelink.conf $(tmpfilesdir)/hordelink.conf \
	  $(foreach page,$(manpages),$(mandir)/man$(subst .,,$(suffix $(page)))/$(page).gz))

# hordelink_RELEASE_ARCH.deb, beside this file.
deb: build
	script/make-deb

clean:
	rm -rf .build .build-fuzz .build-address .build-thread

# On a machine with Rust and Python 3, `make demo` and `make test` need no preparation: what is missing is
# installed first. The first build takes minutes (LightGBM and Polars), later ones seconds.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roomcast
# One directory for every checkout, so that a new one does not compile the dependencies again.
ifeq ($(CARGO_TARGET_DIR),)
CARGO_TARGET_DIR := $(cache)/target
endif
export CARGO_TARGET_DIR
# The tools that scripts/setup puts there come first: the distribution's cmake may be too old.
export PATH := $(cache)/bin:$(PATH):$(HOME)/.cargo/bin

PREFIX ?= $(HOME)/.local
FORECAST ?= forecast.csv
roomcast := $(CARGO_TARGET_DIR)/release/roomcast
# On a machine without Rust, the tarball that `make dist` has packed elsewhere does for the demo.
packed := $(if $(shell PATH='$(PATH)' command -v cargo),,$(firstword $(wildcard dist/roomcast-*-linux.tar.gz)))
version := $(shell sed -n '0,/^version = "\(.*\)"/s//\1/p' Cargo.toml)

# CI must not resolve the dependencies anew.
locked := $(if $(CI),--locked)
# Everything is built in the release profile: a second one would compile LightGBM and Polars twice.
# --examples makes every command resolve features with the dev-dependencies, as tests and lints do. Without
# it cargo sees other features for crates near the bottom (either), and builds Polars once for each set.
release := $(strip --workspace --release $(locked))
shared := $(release) --examples
# cargo-nextest where it is installed. Expanded when used, not on every call of make.
runner = $(shell cargo nextest --version >/dev/null 2>&1 && echo nextest run || echo test)

.PHONY: help setup build demo test check fmt clippy doc deny advisories dockerfile workflows lint-tools bench bench-peers bench-growth bench-buildings experience attack simulate-faults soak install python dist dist-test image

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13

setup: ## Install what is missing to build (compiler, libclang, cmake)
	@scripts/setup

build: setup ## Build the release binary
	cargo build $(shared) --bins

# The same features as the binary: Polars is not compiled again. Neither Python nor its headers are needed.
python: build ## Build the Python module
	cargo build $(shared) --lib

dist: python ## Pack wheel, tarball, Debian package and Home Assistant app into dist/
	deploy/packages/pack --target $(CARGO_TARGET_DIR)

dist-test: ## Test the packages of dist/ on a bare Debian (needs root)
	scripts/dist-test

# From the tarball in seconds where there is one, else from source.
image: ## Build the container image
	docker build -t roomcast -t roomcast:$(version) --build-arg BINARY=$(if $(wildcard dist/roomcast-*-linux.tar.gz),tarball,source) .

demo: $(if $(packed),,build) ## Forecast a day from the sample data and show it as a heat map
	$(if $(packed),mkdir -p '$(cache)/packed' && tar -C '$(cache)/packed' --strip-components 1 -xf '$(packed)')
	$(if $(packed),$(cache)/packed/bin/roomcast,$(roomcast)) predict --show --probabilities '2016-08-24 23:59:59' data/device_activations.csv $(FORECAST)

# Documentation, package, page, fuzz, Spark and deployment tests first, so that the runner's summary of all others closes the output.
test: dist ## Run all tests
	cargo test $(release) --doc
	scripts/python-test
	scripts/homeassistant-test
	scripts/dist-test
	scripts/page-test
	scripts/api-fuzz
	scripts/spark-test
	scripts/deploy-check
	cargo $(runner) $(shared) --lib --bins --tests --no-fail-fast

check: fmt deny dockerfile workflows clippy doc ## Check format, lints, documentation, licences, Dockerfiles and workflows

lint-tools:
	@scripts/setup lint

fmt: lint-tools ## Check the format of the code
	cargo fmt --check

clippy: lint-tools ## Lint the code
	cargo clippy $(release) --all-targets -- -D warnings

doc: lint-tools ## Build the documentation, with warnings as errors
	RUSTDOCFLAGS='-D warnings' cargo doc $(shared) --lib --no-deps

# Not the advisories: their database is fetched from the network, and a new one fails old commits.
deny: lint-tools ## Check licences, sources and bans of the dependencies
	cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Once a week, see docs/OPERATIONS.md.
advisories: lint-tools ## Check the dependencies against known vulnerabilities (needs the network)
	scripts/advisories

dockerfile: lint-tools ## Lint the Dockerfiles
	hadolint Dockerfile deploy/home-assistant/Dockerfile

# Against the forge's schema, and for what an attacker could use: unpinned actions, wide permissions, injected text.
workflows: lint-tools ## Lint the workflows of .github
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	zizmor --offline --no-progress .github/workflows

bench: setup ## Run the benchmarks
	cargo bench $(strip $(locked))

# SIZE=small for a look at whether everything works.
bench-peers: dist ## Compare with peers and with the limits of the machine, write docs/BENCHMARKS.md
	benches/peers/all.sh $(SIZE)

# ROOMS="1000 10000" for a look; all three take some ten minutes and 2 GB of disk.
bench-growth: build ## Measure how a server grows with its rooms, write the table of docs/SCALE.md
	benches/growth.py --write $(if $(ROOMS),--rooms $(ROOMS))

# DATA=folder of the readings that benches/peers/windows.py names; WORK=folder keeps the peers' forecasts.
bench-buildings: build ## Score all methods on real buildings, write the tables of docs/ACCURACY.md (half an hour)
	benches/peers/buildings.sh '$(DATA)' $(WORK)

# After a change of the simulator, of hourly, of the stack or of a column; a test fails until then.
experience: build ## Learn the shipped layers from simulated sites again (two minutes)
	$(CARGO_TARGET_DIR)/release/examples/experience crates/roomcast-forecast/src/model/mix/experience.bin

# SEED=7 repeats one run and prints what happens in it; SEEDS=500 for fewer.
simulate-faults: setup ## Simulate 10,000 runs of senders, writer and store with faults of disk, network, clock and processes
	$(if $(SEED),ROOMCAST_SEED=$(SEED) ROOMCAST_TRACE=1) ROOMCAST_SEEDS=$(or $(SEEDS),10000) \
		cargo test $(shared) --lib -- --nocapture nothing_acknowledged_is_lost

attack: build ## Give every reader 20,000 damaged inputs (5 minutes; ATTACK=100000 for more)
	ROOMCAST_CASES=$(or $(ATTACK),20000) cargo $(runner) $(shared) --test it mutations::

soak: build ## Play a day of 1,000 sensors to a live server (15 minutes; SOAK="200 800" for two)
	scripts/soak $(SOAK)

install: build ## Install binary, man pages and completions under PREFIX (default ~/.local)
	install -D -m 755 $(roomcast) $(DESTDIR)$(PREFIX)/bin/roomcast
	$(roomcast) man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(roomcast) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/roomcast
	$(roomcast) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_roomcast
	$(roomcast) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/roomcast.fish

# make demo     a virtual machine moves between two hypervisors: bugle, FRR and BIRD in one run (root)
# make bench    measurements beside FRR and BIRD, as tables with ratios (root)
# make test     everything that CI checks; without root, the labs say that they are skipped
# make lint     what needs no test run: format, clippy, documentation, dependencies
# make setup    the packages that these need
# make install  the daemon, the command line, their man pages and the systemd unit (root)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: demo bench test lint setup root binaries install
.NOTPARALLEL:
.DEFAULT_GOAL := demo

# Under sudo: the toolchain of whoever called, but nothing that root writes goes among their files.
ifneq ($(filter-out root,$(SUDO_USER)),)
    CALLER_HOME := $(shell getent passwd "$(SUDO_USER)" | cut -d: -f6)
    export PATH := $(CALLER_HOME)/.cargo/bin:$(PATH)
    export RUSTUP_HOME ?= $(CALLER_HOME)/.rustup
    export CARGO_HOME ?= /var/cache/bugle/cargo
    export CARGO_TARGET_DIR ?= /var/cache/bugle/target
endif
TARGET = $(or $(CARGO_TARGET_DIR),target)

PREFIX ?= /usr/local

# Options for the programs, as in: make demo ARGS='--moves 5'
ARGS ?=

demo: root setup binaries
	@$(TARGET)/release/bugle-demo $(ARGS)

bench: root setup binaries
	@$(TARGET)/release/bugle-bench $(ARGS)
	if [[ -z '$(ARGS)' ]]; then
	    printf '\n## Routes into the kernel, beside ip -batch\n\n'
	    cargo run --quiet --release -p bugle-inject --example bench_inject
	fi

# The labs run the daemon and the command line, so these are built first. The test runner comes last: its summary ends the output.
# Only root installs what is missing: others need not have what the labs need.
test: $(if $(filter 0,$(shell id -u)),setup) lint
	@command -v cargo-nextest >/dev/null || cargo install --locked --debug cargo-nextest@0.9.128
	cargo build --workspace --bins --tests
	cargo test --workspace --doc --quiet
	cargo nextest run --workspace

lint:
	@cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	if command -v cargo-deny >/dev/null; then
	    cargo deny --offline check --hide-inclusion-graph bans licenses sources
	else
	    echo 'cargo-deny is not installed: dependencies are not checked against deny.toml'
	fi

setup:
	@.ci/setup $(firstword $(MAKECMDGOALS))
	cargo fetch --locked --quiet

root:
	@if ((EUID)); then
	    .ci/setup $(firstword $(MAKECMDGOALS))
	    echo 'Network namespaces need root. Run: sudo make $(firstword $(MAKECMDGOALS))' >&2
	    exit 1
	fi

binaries:
	@cargo build --release -p bugled -p bugle -p bugle-testbed

install:
	@.ci/setup install
	cargo build --release -p bugled -p bugle
	install -D -m 755 $(TARGET)/release/bugled $(DESTDIR)$(PREFIX)/sbin/bugled
	install -D -m 755 $(TARGET)/release/bugle $(DESTDIR)$(PREFIX)/bin/bugle
	sed 's|/usr/local/|$(PREFIX)/|' dist/bugled.service |
	    install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/bugled.service
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/bugle dist/bugle.toml docs/*.md
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8
	$(TARGET)/release/bugle man $(DESTDIR)$(PREFIX)/share/man/man1
	$(TARGET)/release/bugled --man >$(DESTDIR)$(PREFIX)/share/man/man8/bugled.8
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(TARGET)/release/bugle completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/bugle

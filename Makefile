# Stampline. `make demo` shows the relay at work, `make test` checks everything; `make` alone lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# The real servers and tools that the tests drive.
DEBIAN_PACKAGES := postfix opendkim opendkim-tools strace faketime systemd chromium-headless-shell libmagic1 \
    libmail-dkim-perl rspamd \
    samba samba-ad-dc samba-ad-provision \
    swaks curl libnss-wrapper \
    dovecot-imapd dovecot-pop3d \
    libdb5.3 libgnutls-dane0 libidn12 libnsl2
# Exim as a package would throw out Postfix.
UNPACKED_PACKAGES := exim4-daemon-light
PYTEST := $(BIN)/python -m pytest
PYTEST_ARGS ?=

.PHONY: help demo run test test-all lint bench strain packages clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed ## start the relay, send it real messages, show who got what
	@$(BIN)/stampline demo

run: .venv/.installed ## serve the demo configuration until Ctrl-C
	@exec $(BIN)/stampline demo --serve

lint: .venv/.installed-dev ## ruff, mypy --strict, import contracts
	@echo "lint: ruff"; $(BIN)/ruff check --quiet mta tests; $(BIN)/ruff format --quiet --check mta tests
	@echo "lint: mypy"; $(BIN)/mypy --no-error-summary
	@echo "lint: import contracts"; $(BIN)/lint-imports --no-logo > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }

test: lint packages ## lint, then all tests but the long ones
	@$(PYTEST) -n2 --dist worksteal -m "not long" $(PYTEST_ARGS)

test-all: test ## the long runs too: crash rounds, load
	@$(PYTEST) -s -m long $(PYTEST_ARGS)

bench: .venv/.installed-dev packages ## measure against a Postfix of its own; the last line is JSON
	@$(BIN)/python -m tests.bench $(BENCH_ARGS)

strain: .venv/.installed-dev packages ## many connections, messages, and octets; a dead next hop; takes minutes
	@$(BIN)/python -m tests.bench.strain $(BENCH_ARGS)

packages:
	@.ci/debian-packages $(DEBIAN_PACKAGES)
	@.ci/unpack-packages .venv/unpacked $(UNPACKED_PACKAGES)

clean: ## remove what the demo and the tools made; .venv stays
	@rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info

.venv/bin/python:
	@.ci/make-venv .venv

.venv/.installed: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing what the relay needs into .venv"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

.venv/.installed-dev: .venv/bin/python requirements-dev.lock pyproject.toml
	@echo "installing what the relay and its tests need into .venv"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps -e .
	@touch $@ .venv/.installed

# The few commands people type; `make` lists them. They install what is missing (see tests/tools/install) and build.

CARGO ?= cargo
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kqueen-build
DOCUMENT := openapi/kqueen.json
# Tools the tests use and the system lacks.
export PATH := $(CACHE)/bin:$(PATH)
# Settings are for the server that `make run` starts, not for those the tests start.
TEST_ENVIRONMENT := env $(foreach name,$(filter-out KQUEEN_REQUIRE_SERVICES,$(filter KQUEEN_% KQUEENUI_%,$(.VARIABLES))),-u $(name))

# Links in the documentation of the code lead somewhere. It is read with its private items, so links to these are fine.
DOC_LINKS = RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --quiet --workspace --no-deps --document-private-items --locked

.DEFAULT_GOAL := help
.PHONY: help run test bench ci openapi format lint setup-build setup-checks setup-test kubernetes checks

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup-build ## Build and start the server for a try-out: sled, config/dev.toml, loopback only
	env -u KQUEEN_REQUIRE_SERVICES $(CARGO) run --profile quick --locked --package kqueen -- serve

test: setup-test kubernetes ## Run all tests; installs the servers they need
	$(CARGO) build --workspace --locked
	$(TEST_ENVIRONMENT) $(CARGO) test --workspace --locked --no-fail-fast

bench: setup-test ## Measure requests beside what the building blocks can do, and operating clusters; some 30 minutes, BENCH=--quick two, see BENCH=--help
	$(CARGO) build --release --package kqueen --locked
	$(TEST_ENVIRONMENT) $(CARGO) bench --package kqueen-tests --locked -- $(BENCH)

# What is built once is not built in increments: that would double the room it takes.
ci: export CARGO_INCREMENTAL := 0
ci: checks ## Everything a change must pass: format, lints, links, API document, dependencies, all tests
	$(MAKE) --no-print-directory test KQUEEN_REQUIRE_SERVICES=1

openapi: setup-build ## Write the API document anew
	@mkdir -p $(dir $(DOCUMENT))
	$(CARGO) run --quiet --locked --package kqueen -- openapi >$(DOCUMENT).part
	mv $(DOCUMENT).part $(DOCUMENT)

format: ## Format the code
	$(CARGO) fmt --all

lint: setup-build ## Run the linter, also over the links in the code's documentation
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(DOC_LINKS)

setup-build: ## Install what building needs
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install build

setup-checks:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install checks

setup-test: ## Install what the tests need
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install test

# A Kubernetes control plane is compiled once, which takes some ten minutes.
kubernetes: setup-test
	@if [ -x tests/tools/build_kubernetes ]; then \
		tests/tools/build_kubernetes || [ -z "$(filter-out 0,$(KQUEEN_REQUIRE_SERVICES))" ]; \
	fi

checks: setup-checks
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(DOC_LINKS)
	$(CARGO) deny --locked --log-level warn check licenses bans sources
	tests/tools/check_dependencies
	$(CARGO) run --quiet --locked --package kqueen -- openapi | diff -u $(DOCUMENT) - \
		|| { echo "the API has changed: run make openapi, and commit $(DOCUMENT)" >&2; exit 1; }

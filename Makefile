# Entry points for development; `make` lists them. They install what is missing (see tests/tools/install) and build.

CARGO ?= cargo
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kqueen-build
DOCUMENT := openapi/kqueen.json
# Tools for the tests that the system does not have.
export PATH := $(CACHE)/bin:$(PATH)
# KQUEEN_* settings are for the server that `make run` starts, not for those that tests start.
TEST_ENVIRONMENT := env $(foreach name,$(filter-out KQUEEN_REQUIRE_SERVICES,$(filter KQUEEN_% KQUEENUI_%,$(.VARIABLES))),-u $(name))

# Checks the links in the code's documentation, including private items, so that links to these are allowed.
DOC_LINKS = RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --quiet --workspace --no-deps --document-private-items --locked

.DEFAULT_GOAL := help
.PHONY: help run test bench ci openapi format lint setup-build setup-checks setup-test kubernetes checks

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup-build ## Build and start a local server for evaluation: sled, config/dev.toml, loopback only
	env -u KQUEEN_REQUIRE_SERVICES $(CARGO) run --profile quick --locked --package kqueen -- serve

test: setup-test kubernetes ## Run all tests; installs the servers they need
	$(CARGO) build --workspace --locked
	$(TEST_ENVIRONMENT) $(CARGO) test --workspace --locked --no-fail-fast

bench: setup-test ## Benchmark requests against their building blocks, and operations on clusters; about 30 minutes, BENCH=--quick about 2, see BENCH=--help
	$(CARGO) build --release --package kqueen --locked
	$(TEST_ENVIRONMENT) $(CARGO) bench --package kqueen-tests --locked -- $(BENCH)

# No incremental builds: a single build gains nothing from them, and they double the disk space.
ci: export CARGO_INCREMENTAL := 0
ci: checks ## Run all checks for a change: format, lints, links, API document, dependencies, all tests
	$(MAKE) --no-print-directory test KQUEEN_REQUIRE_SERVICES=1

openapi: setup-build ## Regenerate the API document
	@mkdir -p $(dir $(DOCUMENT))
	$(CARGO) run --quiet --locked --package kqueen -- openapi >$(DOCUMENT).part
	mv $(DOCUMENT).part $(DOCUMENT)

format: ## Format the code
	$(CARGO) fmt --all

lint: setup-build ## Run the linter, and check the links in the code's documentation
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(DOC_LINKS)

setup-build: ## Install the build dependencies
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install build

setup-checks:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install checks

setup-test: ## Install the test dependencies
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	@tests/tools/install test

# A Kubernetes control plane is compiled once, which takes about ten minutes.
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

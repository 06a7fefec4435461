# Targets and their one-line help. `make` alone prints this list.
# Two virtual environments: .venv holds the development build and the tools that check it,
# .venv-release the optimised wheel that the demo and the benchmarks run.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
DEV := .venv
RELEASE := .venv-release
BIN := $(DEV)/bin
RELEASE_BIN := $(RELEASE)/bin
SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find rust python -type f -not -name '*.so' -not -path '*/__pycache__/*')
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up -----------------------------------------------------------------------------------

# Debian's python3 comes without the venv module's pip.
.PHONY: system
system:
	@command -v cargo >/dev/null || { echo "cargo not found: install a Rust toolchain (rustc >= 1.88)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "installing python3-venv"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq python3-venv >/dev/null; }

# Tests and demo start servers of their own, so the one that the package starts is stopped again. Without Redis the
# tests that need it are skipped, and the demo shows memory and disk.
.PHONY: redis
redis:
	@command -v redis-server >/dev/null || { \
	  echo "installing redis-server"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  if $$sudo apt-get update -qq && $$sudo apt-get install -y -qq redis-server >/dev/null; then \
	    { $$sudo systemctl disable -q --now redis-server || $$sudo service redis-server stop || true; } >/dev/null 2>&1; \
	  else echo "redis-server could not be installed"; fi; }

$(DEV)/.tools: pyproject.toml | system
	$(PYTHON) -m venv --upgrade-deps $(DEV)
	$(BIN)/pip install -q --group test --group lint 'maturin>=1.9.4,<2'
	@touch $@

$(DEV)/.built: $(SOURCES) $(DEV)/.tools
	VIRTUAL_ENV=$(CURDIR)/$(DEV) $(BIN)/maturin develop --locked
	@touch $@

$(RELEASE)/.tools: pyproject.toml | system
	$(PYTHON) -m venv --upgrade-deps $(RELEASE)
	$(RELEASE_BIN)/pip install -q 'maturin>=1.9.4,<2' 'cachetools==8.0.0' 'apsw>=3.46' 'hiredis>=3.0'
	@touch $@

$(RELEASE)/.built: $(SOURCES) $(RELEASE)/.tools
	rm -rf build/release && $(RELEASE_BIN)/maturin build --release --locked -i $(RELEASE_BIN)/python -o build/release
	$(RELEASE_BIN)/pip install -q build/release/*.whl # with what it depends on
	$(RELEASE_BIN)/pip install -q --force-reinstall --no-deps build/release/*.whl
	@touch $@

$(RELEASE)/.bench: $(RELEASE)/.built
	$(RELEASE_BIN)/pip install -q --group bench
	@touch $@

.PHONY: dev
dev: $(DEV)/.built ## Build for development into .venv (editable)

# --- the two commands -------------------------------------------------------------------------

.PHONY: demo
demo: $(RELEASE)/.built | redis ## Replay real requests: caches compared; then two processes, while things fail
	$(RELEASE_BIN)/python -m overdrive demo

.PHONY: test
test: lint test-rust test-python test-drop-in test-gc test-wheel ## Set up and run every check and test

# --- checks, one by one -----------------------------------------------------------------------

.PHONY: lint
lint: $(DEV)/.built ## ruff, rustfmt, clippy, mypy --strict, stubtest, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	cargo fmt --all --check
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --workspace --all-targets --locked -- -D warnings
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest overdrive._core --ignore-disjoint-bases --allowlist tests/stubtest_allowlist.txt
	$(BIN)/lint-imports --no-cache

.PHONY: test-rust
test-rust: | system ## Rust core: unit, model and property tests
	cargo test --locked

.PHONY: test-python
test-python: $(DEV)/.built | redis ## Python: contract, equivalence, hostile, threads, fork, types, demo
	$(BIN)/pytest

.PHONY: test-slow
test-slow: $(DEV)/.built | redis ## What takes minutes: long histories through faults, crashes, damage of the disk
	$(BIN)/pytest -m slow -s

.PHONY: test-drop-in
test-drop-in: $(DEV)/.built ## The test suites of cachetools and of functools.lru_cache, run against overdrive
	$(BIN)/python tests/drop_in/run_suite.py
	$(BIN)/python tests/drop_in/run_functools_suite.py

.PHONY: test-matrix
test-matrix: wheel ## The functools suite against the wheels in dist/, on every CPython found
	$(RELEASE_BIN)/python tests/drop_in/functools_matrix.py

.PHONY: test-gc
test-gc: $(DEV)/.built ## The Python suite once more, collecting garbage at every allocation
	$(BIN)/python -m pytest -q -p tests.gc_pressure --ignore=tests/hostile --ignore=tests/demo --ignore=tests/equivalence \
		--ignore=tests/simulate --ignore=tests/snapshots --ignore=tests/memory/test_hostile.py \
		--ignore=tests/memory/test_model.py --ignore=tests/memory/test_random_operations.py --ignore=tests/tiers \
		-k 'not (twoq or 2q or sieve or lirs or tinylfu or s3fifo)'
	$(BIN)/python -m pytest -q -p tests.gc_pressure tests/tiers/test_coherence.py tests/tiers/test_entries.py \
		tests/tiers/test_native_get.py tests/tiers/values/test_sealer.py

.PHONY: test-wheel
test-wheel: $(RELEASE)/.built ## The wheel in a clean environment: import time, threads, files, sockets
	$(RELEASE_BIN)/python tests/wheel/check_wheel.py build/release/*.whl

# --- measuring, building, documenting ---------------------------------------------------------

.PHONY: bench
bench: $(RELEASE)/.bench | redis ## Compare with dict, lru_cache, cachetools, cachebox (ratios, one run)
	$(RELEASE_BIN)/python benches/python/compare.py --json build/compare.json
	$(RELEASE_BIN)/python benches/python/decorators.py --json build/decorators.json
	$(RELEASE_BIN)/python benches/python/memory.py
	$(RELEASE_BIN)/python benches/python/threads.py
	$(RELEASE_BIN)/python benches/python/tiers_l1.py
	$(RELEASE_BIN)/python benches/python/redis_tier.py
	$(RELEASE_BIN)/python benches/python/tiers.py

.PHONY: bench-pytest
bench-pytest: $(RELEASE)/.bench ## The same operations under pytest-benchmark
	$(RELEASE_BIN)/pytest -c /dev/null --rootdir . benches/python -q

.PHONY: bench-rust
bench-rust: | system ## Criterion benches of the Rust core
	cargo bench -p overdrive-core --locked

.PHONY: bench-check
bench-check: $(RELEASE)/.bench | redis ## The comparison with its bars: exits 1 if one is missed
	$(RELEASE_BIN)/python benches/python/compare.py --check
	$(RELEASE_BIN)/python benches/python/decorators.py --check
	$(RELEASE_BIN)/python benches/python/instructions.py --check
	$(RELEASE_BIN)/python benches/python/memory.py --kinds int --check
	$(RELEASE_BIN)/python benches/python/tiers_l1.py --check
	$(RELEASE_BIN)/python benches/python/redis_tier.py --check
	$(RELEASE_BIN)/python benches/python/envelope.py --check

.PHONY: bench-disk
bench-disk: $(RELEASE)/.bench ## The disk tier next to bare apsw and diskcache, with its bars
	$(RELEASE_BIN)/python benches/python/disk.py --check --json build/disk.json

.PHONY: bench-hits
bench-hits: $(RELEASE)/.bench ## Hit ratios against theine, moka-py, cachebox, cachetools; replays a second
	$(RELEASE_BIN)/python benches/python/hit_ratios.py --json build/hit_ratios.json
	$(RELEASE_BIN)/python benches/python/simulate.py

.PHONY: docs
docs: $(DEV)/.built ## API reference into build/docs
	$(BIN)/pip install -q --group docs
	$(BIN)/pdoc -o build/docs overdrive '!overdrive.demo'

.PHONY: wheel
wheel: $(RELEASE)/.tools ## Build a wheel for every CPython >= 3.11 found, into dist/
	$(RELEASE_BIN)/python tests/wheel/build_wheels.py

.PHONY: fmt
fmt: $(DEV)/.tools ## Format Python and Rust
	$(BIN)/ruff check --fix-only -q || true
	$(BIN)/ruff format
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf target build dist $(DEV) $(RELEASE) .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find python tests benches -name __pycache__ -type d -exec rm -rf {} + ; find python -name '*.so' -delete

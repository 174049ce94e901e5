# Every target creates what it needs: `make demo` and `make test` work on a clean clone with make
# and Python 3.10 or newer. PYTHON=… selects another interpreter.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PINS := constraints/newest.txt
export LITELLM_LOCAL_MODEL_COST_MAP := True
# in s; a test that hangs fails and prints the stacks of all threads
export PYTEST_TIMEOUT := 300

.PHONY: help demo test test-quick beside check bench collector docs docs-serve docs-tables faults soak format constraints clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## run a LiteLLM program against a loopback provider and report on it
	$(BIN)/litespan demo

test: $(VENV)/.dev ## run the tests (ARGS="-k stream" selects some)
	$(BIN)/python -m pytest $(ARGS)

test-quick: $(VENV)/.dev ## run the tests that need no server and start no slow process
	$(BIN)/python -m pytest -m "not slow and not service" $(ARGS)

beside: ## run the tests with other instrumentations, in an environment that has them
	PYTHON="$(PYTHON)" scripts/venv build/beside constraints/beside.txt --editable '.[all]' --group beside
	build/beside/bin/python -m pytest -o python_files='beside_*.py' tests/beside $(ARGS)

check: $(VENV)/.dev ## check lint, format and types, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.dev ## measure what litespan adds to a call (ARGS=--quick for a short run)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.dev ## build the documentation site into build/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

docs-serve: $(VENV)/.dev ## serve the documentation site and rebuild it on changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --watch src --watch exporters

docs-tables: $(VENV)/.dev ## update the tables in README.md and docs/ that are generated from the code
	$(BIN)/python -m scripts.docs_tables
	$(BIN)/python -m scripts.instrumentation_metadata

collector: ## build the OpenTelemetry Collector for collector-config.yaml (needs Go)
	scripts/collector

faults: $(VENV)/.dev ## provoke each fault, run programs of all kinds, and write what happens to docs/
	$(BIN)/python -m tests.faults
	$(BIN)/python -m tests.recipes

soak: $(VENV)/.dev collector ## hours of random input, of calls, of spool histories, and of faults before the collector
	PYTEST_TIMEOUT=14400 TEST_FUZZ=2000 $(BIN)/python -m pytest -q tests/fuzz
	$(BIN)/python -m tests.soak
	PYTEST_TIMEOUT=86400 SPOOL_STEPS=$${SPOOL_STEPS:-1000} $(BIN)/python -m pytest -q tests/spool/test_model.py
	PYTEST_TIMEOUT=1200 TEST_SOAK=600 $(BIN)/python -m pytest -q -s tests/collector/test_faults.py

format: $(VENV)/.dev ## sort imports and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: ## resolve the oldest and newest tested versions again (needs uv)
	scripts/constraints

clean: ## remove everything that make and the tools created
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.demo: pyproject.toml $(PINS)
	PYTHON="$(PYTHON)" scripts/venv $(VENV) $(PINS) --editable '.[auto,report]' --group demo
	@touch $@

$(VENV)/.dev: pyproject.toml $(PINS)
	PYTHON="$(PYTHON)" scripts/venv $(VENV) $(PINS) --editable '.[all]' --group dev
	@touch $@ $(VENV)/.demo

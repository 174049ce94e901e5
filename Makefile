# Every target makes what it needs: `make demo` or `make test` works first on a clean clone
# with make and Python 3.10 or newer. PYTHON=… names another interpreter.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PINS := constraints/newest.txt
export LITELLM_LOCAL_MODEL_COST_MAP := True
# s: a test that hangs fails, with the stacks of all threads
export PYTEST_TIMEOUT := 300

.PHONY: help demo test test-quick beside check bench collector docs docs-serve docs-tables soak format constraints clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## run a LiteLLM program against a loopback provider and report on it
	$(BIN)/litespan demo

test: $(VENV)/.dev ## run the tests (ARGS="-k stream" picks some)
	$(BIN)/python -m pytest $(ARGS)

test-quick: $(VENV)/.dev ## run the tests that need no server and start no slow process
	$(BIN)/python -m pytest -m "not slow and not service" $(ARGS)

beside: ## run the tests beside other instrumentations, in an environment that has them
	PYTHON="$(PYTHON)" scripts/venv build/beside constraints/beside.txt --editable '.[all]' --group beside
	build/beside/bin/python -m pytest -o python_files='beside_*.py' tests/beside $(ARGS)

check: $(VENV)/.dev ## lint, format and types, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.dev ## measure what litespan adds to a call (ARGS=--quick for a first look)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.dev ## build the documentation site into build/site, warnings being errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

docs-serve: $(VENV)/.dev ## serve the documentation site and rebuild it on changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --watch src --watch exporters

docs-tables: $(VENV)/.dev ## write the tables of README.md and docs/ that are made from the code
	$(BIN)/python -m scripts.docs_tables

collector: ## build the OpenTelemetry Collector that our configurations run on (needs Go)
	scripts/collector

soak: $(VENV)/.dev collector ## ten minutes of each fault between application and collector, with figures
	PYTEST_TIMEOUT=1200 LITESPAN_SOAK=600 $(BIN)/python -m pytest -q -s tests/collector/test_faults.py

format: $(VENV)/.dev ## sort imports and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: ## resolve both ends of the version matrix anew (needs uv)
	scripts/constraints

clean: ## remove what make and the tools made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.demo: pyproject.toml $(PINS)
	PYTHON="$(PYTHON)" scripts/venv $(VENV) $(PINS) --editable '.[auto,report]' --group demo
	@touch $@

$(VENV)/.dev: pyproject.toml $(PINS)
	PYTHON="$(PYTHON)" scripts/venv $(VENV) $(PINS) --editable '.[all]' --group dev
	@touch $@ $(VENV)/.demo

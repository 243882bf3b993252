# Everything here works from a fresh clone on a machine with Python 3.10 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint format benchmark clean
.DELETE_ON_ERROR:

demo: .venv/demo-ready
	@$(BIN)/pinterest-audience demo

test: .venv/test-ready
	@$(BIN)/pytest

lint: .venv/lint-ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/lint-ready
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.venv/bin/python:
	@echo "Making .venv ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade "pip>=25.1"

.venv/demo-ready: .venv/bin/python pyproject.toml
	@echo "Installing into .venv; this takes half a minute ..."
	@$(PIP) install --editable ".[emulator]"
	@touch $@

.venv/test-ready: .venv/demo-ready
	@echo "Installing what the tests need ..."
	@$(PIP) install --group test
	@touch $@

.venv/benchmark-ready: .venv/test-ready
	@echo "Installing what draws the plot ..."
	@$(PIP) install --group benchmark
	@touch $@

.venv/lint-ready: .venv/benchmark-ready
	@echo "Installing the linters ..."
	@$(PIP) install --group lint
	@touch $@

benchmark: .venv/benchmark-ready
	@$(BIN)/python -m benchmarks --plot docs/benchmarks.svg

clean:
	rm -rf .venv .ci-tools build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

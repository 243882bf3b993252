# Everything here works from a fresh clone on a machine with Python 3.10 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint format benchmark docs docs-refresh clean
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
	@$(BIN)/python -m compileall -q target_pinterest_audience # as pip does with what it copies
	@touch $@

.venv/test-ready: .venv/demo-ready
	@echo "Installing what the tests need ..."
	@$(PIP) install --group test
	@touch $@

.venv-plot/ready:
	@echo "Installing what draws the plot ..."
	@$(PYTHON) -m venv .venv-plot
	@.venv-plot/bin/python -m pip --disable-pip-version-check --quiet install "matplotlib>=3.9"
	@touch $@

.venv/lint-ready: .venv/test-ready
	@echo "Installing the linters ..."
	@$(PIP) install --group lint
	@touch $@

benchmark: .venv/test-ready .venv-plot/ready
	@$(BIN)/python -m benchmarks --curves .venv-plot/curves.json
	@.venv-plot/bin/python benchmarks/plot.py .venv-plot/curves.json docs/benchmarks.svg

.venv-docs/ready: pyproject.toml
	@echo "Installing what builds the documentation ..."
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@.venv-docs/bin/python -m pip --disable-pip-version-check --quiet install --group docs
	@touch $@

docs: .venv-docs/ready
	@.venv-docs/bin/zensical build --clean --strict

docs-refresh: .venv/test-ready
	@$(BIN)/python -m docgen

clean:
	rm -rf .venv .venv-docs .venv-plot .ci-tools .cache site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Everything here works from a fresh clone on a machine with Python 3.10 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --constraint requirements.lock --python
# What pytest makes of each module of tests is kept, since each worker would make it anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade

.PHONY: demo test test-all coverage lint format benchmark benchmark-large docs docs-refresh lock clean
.DELETE_ON_ERROR:

demo: .venv/demo-ready
	@$(BIN)/pinterest-audience demo

test: .venv/test-ready
	@$(PYTEST) -m "not slow" -n 5 --dist worksteal

test-all: test
	@TEST_LENGTH=long $(PYTEST) -m "slow or random" -n 3 --dist loadfile

coverage: .venv/test-ready
	@mkdir -p .cache/coverage
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n 4 --dist loadfile --deselect tests/promises/test_speed.py; status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage html --quiet --directory .cache/coverage/html && $(BIN)/coverage report; \
	exit $$status

lint: .venv/lint-ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/lint-ready
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.venv/bin/uv:
	@echo "Making .venv ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install "uv>=0.9"

.venv/demo-ready: .venv/bin/uv pyproject.toml requirements.lock
	@echo "Installing into .venv; this takes half a minute ..."
	@$(INSTALL) .venv --editable ".[emulator]"
	@$(BIN)/python -m compileall -q target_pinterest_audience # as pip does with what it copies
	@touch $@

.venv/test-ready: .venv/demo-ready
	@echo "Installing what the tests need ..."
	@$(INSTALL) .venv --group test
	@touch $@

.venv-plot/ready: .venv/bin/uv
	@echo "Installing what draws the plot ..."
	@$(PYTHON) -m venv .venv-plot
	@$(UV) pip install --quiet --python .venv-plot "matplotlib>=3.9"
	@touch $@

.venv/lint-ready: .venv/test-ready
	@echo "Installing the linters ..."
	@$(INSTALL) .venv --group lint
	@touch $@

benchmark: .venv/test-ready .venv-plot/ready
	@$(BIN)/python -m benchmarks --curves .venv-plot/curves.json
	@.venv-plot/bin/python benchmarks/plot.py .venv-plot/curves.json docs/benchmarks.svg

.venv-docs/ready: .venv/bin/uv pyproject.toml requirements-docs.lock
	@echo "Installing what builds the documentation ..."
	@$(PYTHON) -m venv .venv-docs
	@$(UV) pip install --quiet --python .venv-docs --constraint requirements-docs.lock --group docs
	@touch $@

# With arguments: `make benchmark-large LARGE="--rows 20000000 --memory-mb 512 --ledgers sqlite"`.
benchmark-large: .venv/test-ready
	@$(BIN)/python -m benchmarks.large $(LARGE)

docs: .venv-docs/ready .venv/demo-ready
	@$(BIN)/python -c 'from target_pinterest_audience.system.version import program_version as v; print(v(), end="")' \
	  > docgen/theme/partials/version.html
	@.venv-docs/bin/zensical build --clean --strict

docs-refresh: .venv/test-ready
	@$(BIN)/python -m docgen

lock: .venv/bin/uv
	@$(COMPILE) pyproject.toml --python-version 3.10 --all-extras --group test --group lint --output-file requirements.lock
	@$(COMPILE) --python-version 3.11 --group docs --output-file requirements-docs.lock

clean:
	rm -rf .venv .venv-docs .venv-plot .ci-tools .cache site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

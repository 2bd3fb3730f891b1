# `make table2` and `make test` do all set-up by themselves, once; they need Python >= 3.11.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: table2 all test check format lock audit mutants

table2: $(INSTALLED)  ## the study up to its main result
	$(BIN)/snakemake --cores all results/table2.csv

all: $(INSTALLED)  ## both tables and the figures
	$(BIN)/snakemake --cores all

# Two processes, one thread in each: docs/testing.md
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --no-loadscope-reorder

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check --line-length 120 Snakefile workflow
	$(BIN)/snakemake --lint

# Changes the code in thousands of places and looks which changes no test notices: hours. docs/testing.md
mutants: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt --line-length 120 Snakefile workflow

# The environment, from the lock alone: no package without a hash, none built with tools that are not in it.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, and $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Brings requirements.lock in line with pyproject.toml, for Linux, macOS and Windows. torch and torchvision go together, as a pair.
lock:
	printf 'torch==2.12.1\ntorchvision==0.27.1\n' | uv pip compile pyproject.toml --extra test --universal \
	    --python-version 3.11 --no-header --no-annotate --generate-hashes --constraints - \
	    --output-file requirements.lock

# Known vulnerabilities of the packages in the lock. --strict: a package of which nothing can be learnt is an error, too.
audit: $(INSTALLED)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

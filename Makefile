# Each target does its own set-up: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two pytest workers with one BLAS thread each beat one worker with two.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test test-slow test-allensdk check format clean
help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "spikesight needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV) (once, a few minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)          ## simulate a session, decode it, write report.html (under 2 minutes)
	$(BIN)/spikesight demo

test: $(STAMP)          ## the test suite (under 12 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 -m "not slow and not allensdk"

test-slow: $(STAMP) test-allensdk    ## scale, oracles, AllenSDK
	$(BIN)/python -m pytest -n 2 -m slow

check: $(STAMP)         ## format, lint, types
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

format: $(STAMP)        ## rewrite the sources in the project's format
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:           ## remove the environments and caches
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache build dist src/*.egg-info

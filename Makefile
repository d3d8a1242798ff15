# Each target does its own set-up: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := src tests benchmarks docs examples
# Two pytest workers with one BLAS thread each beat one worker with two.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo docs notebooks test test-slow test-allensdk test-hebo check format clean
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

docs: $(STAMP)          ## the documentation site, in build/docs (about four minutes; the second time one)
	$(BIN)/python -m sphinx -b html -W --keep-going docs build/docs

notebooks: $(STAMP)     ## run the scripts of examples/ and keep them as notebooks with their pictures
	$(BIN)/python examples/make_notebooks.py

test: $(STAMP)          ## the test suite (under 12 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not allensdk and not hebo"

test-slow: $(STAMP) test-allensdk test-hebo    ## scale, oracles, AllenSDK, HEBO
	$(BIN)/python -m pytest -n 2 -m slow

# AllenSDK 2.16.2 installs on Python 3.9 to 3.11 only and needs a numpy that we cannot use: it gets an environment of
# its own, with the first Python of that kind that runs.
ALLENSDK := .venv-allensdk
ALLENSDK_STAMP := $(ALLENSDK)/.installed
ALLENSDK_PYTHON ?= $(shell for python in $(PYTHON) python3.11 python3.10 python3.9; do \
	  $$python -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null && echo $$python && break; done)

$(ALLENSDK_STAMP): constraints-allensdk.txt
	@echo "Setting up $(ALLENSDK) with $$($(ALLENSDK_PYTHON) --version) (once, about two minutes) ..."
	$(ALLENSDK_PYTHON) -m venv $(ALLENSDK)
	$(ALLENSDK)/bin/python -m pip install --quiet --constraint constraints-allensdk.txt 'allensdk==2.16.2' 'hdmf<5' 'setuptools<81'
	@touch $@

test-allensdk: $(STAMP) ## AllenSDK opens a file of ours and reads what was written
	@if [ -z "$(ALLENSDK_PYTHON)" ]; then \
	  echo "test-allensdk skipped: AllenSDK 2.16.2 needs Python 3.9, 3.10 or 3.11, and none of them was found." \
	       "Install one, or name it: make test-allensdk ALLENSDK_PYTHON=/path/to/python3.11"; \
	else \
	  $(MAKE) --no-print-directory $(ALLENSDK_STAMP) && \
	  SPIKESIGHT_ALLENSDK_PYTHON=$(abspath $(ALLENSDK))/bin/python $(BIN)/python -m pytest -m allensdk tests/allensdk; \
	fi

# HEBO 0.3.6 needs numpy below 1.25, hence Python 3.11 and an environment of its own. It holds the oldest numpy and scipy
# that spikesight takes, so a part of the suite is run there too.
HEBO := .venv-hebo
HEBO_STAMP := $(HEBO)/.installed
ON_OLDEST_NUMPY := tests/test_benchmark.py tests/decoders/test_storage.py tests/data/test_npz_file.py
HEBO_PYTHON ?= $(shell for python in $(PYTHON) python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$python && break; done)

$(HEBO_STAMP): pyproject.toml constraints-hebo.txt
	@echo "Setting up $(HEBO) with $$($(HEBO_PYTHON) --version) (once, about three minutes) ..."
	$(HEBO_PYTHON) -m venv $(HEBO)
	$(HEBO)/bin/python -m pip install --quiet --constraint constraints-hebo.txt --editable '.[tune,hebo]' pytest
	@touch $@

test-hebo:              ## searches by HEBO; storage and benchmark on the oldest numpy
	@if [ -z "$(HEBO_PYTHON)" ]; then \
	  echo "test-hebo skipped: HEBO 0.3.6 needs Python 3.11, and none was found." \
	       "Install one, or name it: make test-hebo HEBO_PYTHON=/path/to/python3.11"; \
	else \
	  $(MAKE) --no-print-directory $(HEBO_STAMP) && $(HEBO)/bin/python -m pytest -m hebo tests/hebo && \
	  $(HEBO)/bin/python -m pytest -m "not slow" $(ON_OLDEST_NUMPY); \
	fi

check: $(STAMP)         ## format, lint, types
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check --no-cache $(SOURCES)
	$(BIN)/mypy

format: $(STAMP)        ## rewrite the sources in the project's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:           ## remove the environments and caches
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache build dist docs/generated docs/gallery docs/examples src/*.egg-info

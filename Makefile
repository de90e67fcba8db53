# make pipeline and make test set up what they need in .venv and run. Nothing else has to be installed
# but Python 3.11, git and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN ?=

.PHONY: help pipeline test test-all lint venv doctor build clean distclean

help:            ## list what make can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/:/' | column -t -s:

pipeline: $(READY)  ## train, prune, quantize, convert, evaluate, benchmark, check, report (RUN="-c my.yaml" for options)
	$(BIN)/litesmith run $(RUN)

# compiled files are kept whatever the surroundings say: every worker and every command under test would compile again
test: $(READY)      ## run the tests
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not network"

test-all: $(READY)  ## run the tests, the slow ones and those that need the package index too
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)      ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

doctor: $(READY)    ## show versions, engines and what is missing
	$(BIN)/litesmith doctor

build: $(READY)     ## make the wheel and the sdist in dist/
	$(BIN)/python -m build

venv: $(READY)      ## set up .venv

$(READY): setup.cfg pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "litesmith needs Python 3.11 (3.12 and 3.13 work without tflite-runtime); found: $$("$(PYTHON)" --version 2>&1 || echo none)" >&2; \
	  echo "  next: install it (Debian: apt-get install python3.11 python3.11-venv), or make PYTHON=/path/to/python3.11" >&2; \
	  exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $(READY)

clean:              ## remove runs, the store and caches
	rm -rf runs .litesmith build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

distclean: clean    ## remove .venv too
	rm -rf $(VENV)

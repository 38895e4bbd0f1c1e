# `make run` measures claims of three papers; `make test` runs everything that has to hold. Both start from a fresh
# clone with Python 3.11 or newer, pip, make and git. Nothing outside this folder is changed: delete .venv to undo.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
LIVEPAPERS := $(BIN)/livepapers
SMOKE := hdpo:C1 fl-gfn:C1a simplicial-closure:C4a
LAPTOP := hdpo:C1
PRESET ?= smoke
# Fewer pairs cannot decide a claim once it is corrected for all claims of its paper.
SEEDS ?= 10
WORKERS ?= 2

# Tests start hundreds of processes: modules are compiled once, even where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup test suite check quick lint types imports docs clean

run: $(VENV)/installed
ifdef PAPER
	$(LIVEPAPERS) run $(PAPER) --preset $(PRESET) $(ARGS)
else
	@for claim in $(SMOKE); do \
		echo "== $${claim%:*}: claim $${claim#*:} at the smoke preset, to see that everything runs"; \
		$(LIVEPAPERS) run $${claim%:*} --preset smoke --claims $${claim#*:} || exit $$?; \
	done
	@for claim in $(LAPTOP); do \
		echo "== $${claim%:*}: claim $${claim#*:} at the laptop preset, $(SEEDS) seeds; Ctrl-C stops, livepapers resume goes on"; \
		$(LIVEPAPERS) run $${claim%:*} --preset laptop --claims $${claim#*:} --seeds $(SEEDS) || exit $$?; \
	done
endif

setup: $(VENV)/installed-for-tests
	@if [ -d .git ]; then $(BIN)/pre-commit install >/dev/null; fi
	@echo "ready: $(BIN)/livepapers, make check"

test: $(VENV)/installed-for-tests lint imports
	$(MAKE) -j 2 types suite

suite: $(VENV)/installed-for-tests
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -q

check: $(VENV)/installed-for-tests lint types imports quick

quick: $(VENV)/installed-for-tests
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -q -m "not slow"

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-for-tests
	$(BIN)/pyright

imports: $(VENV)/installed-for-tests
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The files below say that an installation is done; a second call finds them and installs nothing.

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "livepapers needs Python 3.11 or newer; none was found. Try: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e .
	@# pip compiles on one core; what cannot be compiled is no module that anybody imports
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[all]" --group test
	@touch $@

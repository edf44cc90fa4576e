# `make help` lists what there is to do; everything runs in .venv, which the targets make and keep up to date.
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
FUZZ := .venv-fuzz
LOCK := --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Where the system's Python has been replaced by a later one, the environment's is a link to nothing: all is made anew.
$(shell test -x $(BIN)/python || rm -f $(VENV)/.run-installed $(VENV)/.dev-installed)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test drills check format bench audit fuzz translations lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run-installed ## the whole thing in one terminal: web server, worker, embedded broker
	@$(BIN)/python -m feedback_push.standalone

test: $(VENV)/.dev-installed ## install what the tests need and run every test
	@tests/install-packages
	@$(BIN)/pytest --numprocesses 3 --dist loadscope --cov --cov-report term

drills: $(VENV)/.dev-installed ## attack a site of its own and measure what its visitors notice (4 minutes)
	@tests/install-packages
	@$(BIN)/pytest tests/drills --quiet --capture no --timeout 60

check: $(VENV)/.dev-installed ## lint, format check and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev-installed ## put the code into its one format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev-installed ## the benchmarks, with peers, as one table
	@$(BIN)/python -m benchmarks

audit: $(VENV)/.dev-installed ## Lighthouse and Mozilla Observatory on a site of its own (needs Node and Chromium)
	@$(BIN)/python -m tests.audit

fuzz: $(VENV)/.dev-installed $(FUZZ)/.installed ## a fuzzer over every endpoint of a site of its own for FUZZ_SECONDS (600)
	@FUZZ_VENV=$(FUZZ) $(BIN)/python -m tests.fuzz

translations: $(VENV)/.dev-installed ## gather new texts and compile what is translated
	@$(BIN)/python -m tests.translations

lock: ## write requirements/ anew from pyproject.toml (needs uv)
	$(UV) pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	$(UV) pip compile pyproject.toml $(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt
	$(UV) pip compile $(LOCK) --group pyproject.toml:fuzz -c requirements/dev.txt -o requirements/fuzz.txt

clean: ## remove the virtual environments and the caches; instance/ with its data stays
	rm -rf $(VENV) $(FUZZ) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for both: the dev lock holds every pin of the run lock.
$(VENV)/.run-installed $(VENV)/.dev-installed: $(VENV)/.%-installed: requirements/%.txt | $(BIN)/python
	@echo "Installing the locked dependencies of requirements/$*.txt into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Of its own: the fuzzer's dependencies are nobody else's.
$(FUZZ)/.installed: requirements/fuzz.txt | $(BIN)/python
	@echo "Installing the fuzzer into $(FUZZ) …"
	@$(BIN)/python -m venv --clear $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Feedback Push needs Python 3.11 or newer as $(PYTHON). Name another: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

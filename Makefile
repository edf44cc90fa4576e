# `make help` lists the targets. They create .venv, keep it up to date and run everything in it.
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
FUZZ := .venv-fuzz
DOCS := .venv-docs
# Two processes more than most machines for CI have cores, because the tests of whole sites wait a lot.
EVERY_TEST := --numprocesses 4 --dist loadscope --no-loadscope-reorder
LOCK := --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# If the system's Python was replaced by a later version, the environment's link is broken, so rebuild it.
$(shell test -x $(BIN)/python || rm -f $(VENV)/.run-installed $(VENV)/.dev-installed)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-fast coverage drills check format bench audit fuzz docs screenshots dist translations lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run-installed ## run the web server, the worker and the embedded broker in one terminal
	@$(BIN)/python -m feedback_push.standalone

test: $(VENV)/.dev-installed ## install the tests' dependencies and run all tests
	@tests/install-packages
	@$(BIN)/pytest $(EVERY_TEST)

test-fast: $(VENV)/.dev-installed ## run the tests that are quick and start no server and no browser
	@$(BIN)/pytest --fast --numprocesses 4 --dist worksteal

coverage: $(VENV)/.dev-installed ## run all tests and print the lines that none of them reaches
	@tests/install-packages
	@$(BIN)/pytest $(EVERY_TEST) --cov --cov-report term

drills: $(VENV)/.dev-installed ## attack a test site and measure the effect on its visitors (10 minutes)
	@tests/install-packages
	@$(BIN)/pytest tests/drills --quiet --capture no --timeout 60

check: $(VENV)/.dev-installed ## run the linter, the format check and the type checker, and check the size of the widget
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@size=$$(gzip -c static/embed/feedback.js | wc -c); echo "static/embed/feedback.js: $$size bytes gzipped, at most 10000"; test $$size -lt 10000

format: $(VENV)/.dev-installed ## fix lint errors and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev-installed ## run the benchmarks, with comparable projects, and print a table
	@$(BIN)/python -m benchmarks

audit: $(VENV)/.dev-installed ## run Lighthouse, Mozilla Observatory and a slow phone on a test site (needs Node and Chromium)
	@$(BIN)/python -m tests.audit

fuzz: $(VENV)/.dev-installed $(FUZZ)/.installed ## fuzz every endpoint of a test site for FUZZ_SECONDS (600)
	@FUZZ_VENV=$(FUZZ) $(BIN)/python -m tests.fuzz

docs: $(VENV)/.dev-installed $(DOCS)/.installed ## build the documentation into site/; a broken link fails
	@$(BIN)/python -m tests.docs
	@$(DOCS)/bin/zensical build --clean --strict

screenshots: $(VENV)/.dev-installed ## take the pictures of the documentation anew (needs Chromium and Firefox)
	@$(BIN)/python -m tests.screenshots

dist: $(VENV)/.dev-installed ## build the wheel, the source distribution and a list of all dependencies (SBOM) into dist/
	@rm -rf dist build
	@$(BIN)/python -m hatchling build --directory dist
	@$(PYTHON) -m venv build/environment
	@build/environment/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@build/environment/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	@build/environment/bin/python -m pip uninstall --quiet --yes pip setuptools
	@$(BIN)/python -m cyclonedx_py environment --output-format JSON --output-file dist/feedback-push.cdx.json build/environment/bin/python

translations: $(VENV)/.dev-installed ## extract new texts and compile the translations
	@$(BIN)/python -m tests.translations

lock: ## regenerate requirements/ from pyproject.toml (needs uv)
	$(UV) pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	$(UV) pip compile pyproject.toml $(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt
	$(UV) pip compile $(LOCK) --group pyproject.toml:build -c requirements/dev.txt -o requirements/build.txt
	$(UV) pip compile $(LOCK) --group pyproject.toml:fuzz -c requirements/dev.txt -o requirements/fuzz.txt
	$(UV) pip compile $(LOCK) --group pyproject.toml:docs -c requirements/dev.txt -o requirements/docs.txt

clean: ## remove the virtual environments and the caches; keep instance/ with its data
	rm -rf $(VENV) $(FUZZ) $(DOCS) dist build site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Both use one environment, because the dev lock contains every pin of the run lock.
$(VENV)/.run-installed $(VENV)/.dev-installed: $(VENV)/.%-installed: requirements/%.txt | $(BIN)/python
	@echo "Installing the locked dependencies of requirements/$*.txt into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A separate environment, because nothing else needs the fuzzer's dependencies.
$(FUZZ)/.installed: requirements/fuzz.txt | $(BIN)/python
	@echo "Installing the fuzzer into $(FUZZ) …"
	@$(BIN)/python -m venv --clear $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DOCS)/.installed: requirements/docs.txt | $(BIN)/python
	@echo "Installing the generator of the documentation into $(DOCS) …"
	@$(BIN)/python -m venv --clear $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Feedback Push needs Python 3.11 or newer as $(PYTHON). Name another: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

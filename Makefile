# Flask-Keel, the template itself. Type `make` to see what there is.

SHELL := /bin/sh
PYTHON ?= python3
TOOLS := .venv/.cookiecutter
TESTS := .venv/.tests
OLDEST := .venv-oldest/.tests
BENCHMARKS := .venv/.benchmarks
.DEFAULT_GOAL := help
.SUFFIXES:

project ?= my-app
starter ?= blog
to ?= .
QUIET := $(MAKE) --no-print-directory
# of each starter that has one: the model that gets a column, and behind which other
blog := post summary
accounts := user tf_totp_secret
CHANGED := $(and $(filter blog accounts,$(starter)),$($(starter)))
CHANGE := subtitle: Mapped[str | None] = mapped_column(String(200))

app: $(TOOLS) ## generate my-app, install it, build its database, make and apply one migration   [starter=accounts]
	@[ ! -e "$(to)/$(project)" ] || { echo "Error: $(to)/$(project) is there already:" \
	  "type make app project=another-name." >&2; exit 1; }
	@.venv/bin/python -m cookiecutter --no-input -o "$(to)" . "project=$(project)" "starter=$(starter)" >/dev/null
	@cd "$(to)/$(project)" && echo "$$(pwd) is generated; make install, make db:" && $(QUIET) install && $(QUIET) db
	@[ -z "$(CHANGED)" ] || { cd "$(to)/$(project)" && model=$$(echo */models/$(firstword $(CHANGED)).py) && \
	  awk '{ print } /^    $(lastword $(CHANGED)): / { print "    $(CHANGE)" }' $$model > $$model.new && mv $$model.new $$model && \
	  printf '%s\n' "" "one change, in $$model:" "+   $(CHANGE)" && for target in newmigration migrate; do \
	  echo && echo "$$ make $$target" && $(QUIET) $$target || exit 1; done; }
	@cd "$(to)/$(project)" && printf '%s\n' "" "Your application is ready. Next:" "" "  cd '$$(pwd)'" \
	  "  make server         # http://localhost:5000" "  make test" "  make                # everything else"

test: $(TESTS) ## run the tests; a database server that is not installed is skipped with its reason
	@.venv/bin/python -m pytest -n auto --dist loadgroup $(args)

test-all: $(TESTS) ## run the tests and the long drills
	@LONG_DRILLS=1 .venv/bin/python -m pytest -n auto --dist loadgroup $(args)

test-oldest: $(OLDEST) ## run the library's tests on the lowest versions that it allows
	@.venv-oldest/bin/python -m pytest -n auto --dist loadgroup $(LIBRARY_TESTS) $(args)

bench: $(BENCHMARKS) ## measure the engine and newmigration against their peers; wants a machine at rest
	@.venv/bin/python benchmarks/sqlite_engine.py $(args) && .venv/bin/python benchmarks/newmigration.py

lint: $(TESTS) ## check the style of the code, and its types
	@.venv/bin/ruff check --config pyproject.toml $(LINTED) && \
	  .venv/bin/ruff format --check --config pyproject.toml $(LINTED)
	@.venv/bin/mypy --no-error-summary

format: $(TESTS) ## mend the style of the code
	@.venv/bin/ruff check --fix --config pyproject.toml $(LINTED) && \
	  .venv/bin/ruff format --config pyproject.toml $(LINTED)

docs: $(TESTS) ## write anew what the documents show of the code
	@.venv/bin/python docs/reference.py

clean: ## remove what can be made again
	@rm -rf .venv .venv-oldest .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ' ## ' '/^[a-z][a-z-]*:.* ## / { split($$1, name, ":"); printf "  make %-11s %s\n", name[1], $$2 }' Makefile

.PHONY: app test test-all test-oldest bench lint format docs clean help

# the generated project is checked as it is generated: its files are templates
LINTED := src keel_answers hooks tests benchmarks docs
LIBRARY_TESTS := tests/library

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Error: Python 3.11 or" \
	  "newer is needed: type make $(MAKECMDGOALS) PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) -m venv --without-pip .venv

INSTALL := install --quiet --disable-pip-version-check
PIP := .venv/bin/python -m pip
# with Python's own pip where it has one that can, since it takes four seconds to give .venv another
FIRST = $(PYTHON) -m pip --python .venv/bin/python $(INSTALL) $(1) 2>/dev/null || \
  { .venv/bin/python -m venv .venv && $(PIP) $(INSTALL) $(1); }

$(TOOLS): .venv/bin/python
	@echo "installing cookiecutter" >&2
	@$(call FIRST,'cookiecutter~=2.6')
	@touch $@

$(TESTS): .venv/bin/python pyproject.toml
	@echo "installing what the tests need" >&2
	@$(call FIRST,'pip>=25.1')  # older ones know no dependency groups
	@$(PIP) $(INSTALL) --group tests -e '.[dev,postgresql,mysql]'
	@touch $@

# the lower bounds of pyproject.toml are the versions: they stand there and nowhere else
LOWEST := .venv/bin/uv pip install --quiet --python .venv-oldest/bin/python

$(OLDEST): $(TESTS)
	@echo "installing the lowest versions that the library allows" >&2
	@$(PYTHON) -m venv --clear .venv-oldest
	@$(LOWEST) --group tests
	@$(LOWEST) --upgrade --resolution lowest-direct -e '.[dev,postgresql,mysql]'  # below what a tool may want
	@touch $@

$(BENCHMARKS): $(TESTS)
	@echo "installing what the benchmarks need" >&2
	@$(PIP) $(INSTALL) --group benchmarks
	@touch $@

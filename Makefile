# Keyrack. `make help` lists what there is.

# The first Python of at least 3.11, the system's own before others; PYTHON= chooses another.
PYTHON ?= $(firstword $(foreach python,/usr/bin/python3 python3,$(shell $(python) -c \
	'import sys; sys.version_info >= (3, 11) and print("$(python)")' 2>/dev/null)))

VENV := .venv
PY := $(VENV)/bin/python
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes

# The lock names no host: whoever installs chooses where packages come from.
PIP_COMPILE := $(VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# The checks make no secrets in anybody's data folder.
CHECK_DATA := KEYRACK_DATA=$(CURDIR)/$(VENV)/check-data
PRODUCTION := KEYRACK_URL=https://keyrack.example.org KEYRACK_TRUSTED_PROXIES=1 KEYRACK_DEBUG=

.PHONY: help install run test check bench lock

help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

install: $(RUN) ## Install what Keyrack needs, without starting it

run: $(RUN) ## Serve http://127.0.0.1:8000 (PORT and KEYRACK_DATA change where)
	@exec $(PY) manage.py serve

test: $(DEV) ## Run every test, on SQLite and on PostgreSQL (ARGS="-k name" chooses)
	@exec $(PY) -m tests $(ARGS)

check: $(DEV) ## Lint, check the types, the templates, the migrations and the settings
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(CHECK_DATA) $(VENV)/bin/mypy config keys projects tests manage.py
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint templates --lint --quiet
	$(PY) tests/meta/template_lint.py
	$(CHECK_DATA) $(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	$(CHECK_DATA) $(PY) manage.py makemigrations --check --dry-run

bench: $(DEV) $(BENCH) ## Measure, against peers in the same run (ARGS="http --only sqlite" chooses)
	@exec $(PY) -m tests.benchmarks $(ARGS)

lock: $(DEV) ## Lock the dependencies of pyproject.toml anew
	$(PIP_COMPILE) --output-file=requirements.txt pyproject.toml
	$(PIP_COMPILE) --extra=dev --allow-unsafe --constraint=requirements.txt \
		--output-file=requirements-dev.txt pyproject.toml
	$(PIP_COMPILE) --extra=bench --constraint=requirements-dev.txt \
		--output-file=requirements-bench.txt pyproject.toml

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Keyrack needs Python 3.11 or newer; name one with PYTHON=." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Keyrack needs Python 3.11 or newer, and $(PYTHON) is older." >&2; exit 1; }
	@echo "Making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN): requirements.txt | $(VENV)/.made
	@echo "Installing what Keyrack needs"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt | $(VENV)/.made
	@echo "Installing what the tests need"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

$(BENCH): requirements-bench.txt | $(VENV)/.made
	@echo "Installing what the benchmarks measure against"
	@$(PIP_INSTALL) -r requirements-bench.txt
	@touch $@

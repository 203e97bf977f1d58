# Keepsight: `make demo` shows everything; `make test` and `make check` prove it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export KEEPSIGHT_HOME ?= .keepsight
export MLFLOW_DISABLE_TELEMETRY ?= true
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
export OPENBLAS_NUM_THREADS ?= 1

DEMO := $(KEEPSIGHT_HOME)/demo
SERVE ?= 1
PORT ?= 8000

.PHONY: help install demo serve test test-all bench check format lock clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## the environment in .venv, from requirements.lock

# Unpacked under another name and renamed at the end, so that an interrupted install is never taken for a whole one.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Keepsight needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: install ## everything from nothing to a served, explained prediction (SERVE=0 stops before serving)
	@test -f $(DEMO)/sources.toml || $(BIN)/keepsight demo-data $(DEMO)
	@echo; echo "== The tables, checked"
	@$(BIN)/keepsight check --sources $(DEMO)/sources.toml
	@echo; echo "== The model, trained and proven on later months"
	@$(BIN)/keepsight train --sources $(DEMO)/sources.toml --promote
	@echo; echo "== The account most at risk"
	@$(BIN)/keepsight explain --most-at-risk --sources $(DEMO)/sources.toml
ifneq ($(SERVE),0)
	@$(MAKE) --no-print-directory serve
endif

serve: install ## the service on the demo company, until stopped
	$(BIN)/keepsight serve --sources $(DEMO)/sources.toml --port $(PORT)

check: install ## ruff, formatting, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install ## all tests that fit in ten minutes
	$(BIN)/pytest

test-all: install ## the long suites too
	$(BIN)/pytest -m ""

bench: install ## ratios to pandas, Featuretools and the floor, into .keepsight/bench.json (BENCH=--help for more)
	@$(BIN)/python -m tests.bench.run $(BENCH)

format: install ## put the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove the environment and all state of this checkout
	rm -rf $(VENV) .keepsight

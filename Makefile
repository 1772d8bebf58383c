# Everything a developer or a newcomer does, by name. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
SEEDS ?= 1..1000
HOURS ?=
CRASH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench simulate crashpoints quality schema kube-servers lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## create .venv with pinned, hashed packages and the project itself

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then echo "installing python3-venv"; apt-get update -q && apt-get install -y -q python3-venv; \
	  else echo "python3-venv is missing: apt-get install python3-venv"; exit 1; fi; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt
	PYTHONWARNINGS=ignore::UserWarning $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## lose a region in the lab and watch it recover, with a report of the phases
	$(BIN)/failover lab run region-loss

test: $(STAMP) ## all tests; installs the Debian packages of the server tiers when run as root
	$(BIN)/python -m tests.servers.install
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP) ## ruff, mypy strict, import layers, the schema is current
	$(BIN)/ruff check failover tests
	$(BIN)/ruff format --check failover tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m failover.policy.schema --check policies/failover.schema.json

bench: $(STAMP) ## measure what the README claims; exit 1 when a figure is missed
	$(BIN)/python -m tests.benchmarks

simulate: $(STAMP) ## the controller in simulated worlds under faults, 1,000 seeds (SEEDS=A..B for others, HOURS=N for worlds that last)
	$(BIN)/failover simulate --seeds $(SEEDS) $(if $(HOURS),--hours $(HOURS),--marks)

crashpoints: $(STAMP) ## kill, freeze and follow a real controller at every point, hours (CRASH_ARGS="--kinds --variant stop")
	$(BIN)/python -m tests.crashpoints $(CRASH_ARGS)

quality: $(STAMP) ## detection quality: false alarms, detection times, gray failures, as a table and a picture
	$(BIN)/python -m tests.quality

kube-servers: $(STAMP) ## build the real Kubernetes servers once into the cache
	$(BIN)/python -m tests.servers.kubernetes.build

schema: $(STAMP) ## write the JSON Schema of the policy documents
	$(BIN)/python -m failover.policy.schema policies/failover.schema.json

lock: ## pin every package anew, with hashes
	$(BIN)/pip-compile --quiet --upgrade --extra dev --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --output-file constraints.txt pyproject.toml

clean: ## remove what the targets made (not the cache of the Kubernetes servers)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

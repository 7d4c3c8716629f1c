# Makefile of CryptoVault. `make` alone lists what it can do.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON := .venv/bin/python
STACK := $(PYTHON) -P -m local_stack

# What only looks or stops needs no more than what runs already has: a registry that is away must not keep anybody from it.
INSTALLED := $(if $(wildcard $(PYTHON)),,setup)

PACKAGES := chassis/chassis gateway/gateway deploy/local/local_stack $(filter-out %/tests %/README.md %/pyproject.toml,$(wildcard services/*/*))

# SCOPE=trading looks at one part only: a service, the gateway, the chassis, or a folder of tests/ such as e2e.
SCOPE ?=
SCOPED = $(firstword $(wildcard $(if $(SCOPE),services/$(SCOPE) tests/$(SCOPE) deploy/$(SCOPE) $(SCOPE))))
TESTS = $(if $(SCOPE),$(or $(SCOPED),$(error there is no $(SCOPE) in services/, tests/, deploy/ or here)))
TYPED = $(if $(SCOPE),$(or $(filter $(SCOPED)/%,$(PACKAGES)),$(PACKAGES)),$(PACKAGES))

# Most tests wait for servers most of the time, so two processes share them, file by file; each has servers of its own.
WORKERS ?= 2
PYTEST := $(PYTHON) -m pytest $(if $(SCOPE),,-n $(WORKERS) --dist loadfile)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo '  CRYPTOVAULT_PORT_BASE (18000), CRYPTOVAULT_DATA_DIR (.local): run a second copy beside the first'
	@echo '  SCOPE=trading: test and lint one part only · WORKERS=2: processes that share the tests · FORCE=1: reset without asking'

.PHONY: setup
setup: ## Install what is missing (Redis, RabbitMQ, uv, packages), build the web app
	@deploy/local/setup.sh

.PHONY: run
run: setup ## Run the whole platform here, until Ctrl-C
	@$(STACK) up

.PHONY: start
start: setup ## The same in the background; returns when all is ready
	@$(STACK) up --detach

.PHONY: stop
stop: $(INSTALLED) ## Stop what runs
	@$(STACK) down

.PHONY: status
status: $(INSTALLED) ## Show the processes: state, pid, port, memory, restarts
	@$(STACK) status

.PHONY: operator
operator: setup ## Change accounts by hand: make operator DO="grant-role ada@example.com admin"
	@$(STACK) operator $(DO)

.PHONY: exchange
exchange: setup ## Look into the exchange's journal: make exchange DO=verify (replay, explain ORDER_ID, rebuild)
	@$(STACK) exchange $(DO)

.PHONY: reset
reset: setup ## Delete all data, after asking (FORCE=1 does not ask)
	@$(STACK) reset $(if $(FORCE),--force)

.PHONY: test
test: lint $(if $(SCOPE),,web-test web-budget test-tools) ## Lint, then all tests but the long ones
	$(PYTEST) -m "not long" $(TESTS)

.PHONY: test-all
test-all: lint $(if $(SCOPE),,web-test web-budget test-tools) ## Lint, then all tests
	$(PYTEST) $(TESTS)

.PHONY: lint
lint: setup ## Check style, types, walls between the parts, contracts, container files
	.venv/bin/ruff check --quiet $(or $(TESTS),.)
	.venv/bin/ruff format --quiet --check $(or $(TESTS),.)
	.venv/bin/mypy $(TYPED)
	.venv/bin/lint-imports --no-logo
	cd protos && ../.venv/bin/buf lint
	.ci/protos-drift
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml deploy/docker/tls.yml
	.venv/bin/hadolint deploy/docker/Dockerfile deploy/docker/web.Dockerfile
	git ls-files -z '*.sh' .ci deploy/docker/new-env deploy/docker/new-certificates | xargs -0 -n 1 bash -n

.PHONY: format
format: setup ## Put the code into its form
	.venv/bin/ruff check --quiet --fix-only .
	.venv/bin/ruff format --quiet .

.PHONY: protos
protos: setup ## Regenerate the code of protos/ and check it with buf
	protos/generate.sh
	cd protos && ../.venv/bin/buf lint

.PHONY: bench
bench: setup ## Measure the platform against its floors; also writes .local/bench.json (SCOPE=core, stream, audit, start, door or burst: that alone)
	$(PYTHON) tests/load/bench.py $(SCOPE)

.PHONY: web-build
web-build: setup ## Build the web app, if its sources have changed (set-up does it too)
	@web/tools/build.sh

.PHONY: web-types
web-types: setup ## Generate the web app's types from gateway/openapi.json
	@web/tools/build.sh --packages
	@cd web/tools/api-types && PATH="$$(../node-bin.sh):$$PATH" npm run --silent generate

.PHONY: web-test
web-test: setup ## Check the web app: form, lint, types, unit tests
	@web/tools/check.sh

.PHONY: web-e2e
web-e2e: web-build test-tools ## Use the web app in Chromium, on a platform of its own
	$(PYTHON) -m pytest tests/web

.PHONY: web-budget
web-budget: web-build ## Hold the size of the web app to its budget
	@cd web && PATH="$$(tools/node-bin.sh):$$PATH" node tools/budget.mjs

.PHONY: web-lighthouse
web-lighthouse: setup test-tools ## Measure the web app of a running platform with Lighthouse, against its budget
	@web/tools/lighthouse.sh "$${URL:-http://127.0.0.1:$${CRYPTOVAULT_PORT_BASE:-18000}}"

.PHONY: test-tools
test-tools:
	@tests/tools.sh || echo "Chromium or nginx is missing: their tests are skipped, except in CI"

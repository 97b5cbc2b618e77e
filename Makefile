# The commands for newcomers; `make` alone lists them. For everything else, use ansible-playbook (README.md).
ENV ?= lab
# The release to deploy; without it, the one in the inventory.
VERSION ?=
# Looked up before .venv is added to PATH, because it creates .venv.
PYTHON := $(shell command -v $(or $(PYTHON),python3))
ARGS ?=
# The front end of the labs: static (examples/static_site), or next (examples/frontend, built with Node.js).
FRONTEND ?= static

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deploy plan roll-back destroy distclean test test-faults test-image bench bench-aws bench-cache bench-deploy bench-migrate bench-monitoring bench-pgbouncer bench-profiling readmes lab_up front_end venv prerequisites

ifeq ($(filter static next,$(FRONTEND)),)
$(error FRONTEND=$(FRONTEND): it is one of static next)
endif
ifneq ($(wildcard inventories/$(ENV)/hosts.yml),inventories/$(ENV)/hosts.yml)
$(error No inventory inventories/$(ENV): ENV is one of $(filter-out shared,$(notdir $(wildcard inventories/*))))
endif

INVENTORY_VERSION = $(shell sed -n 's/^backend_version: *//p' inventories/shared/backend.yml)
# The labs: environments whose hosts are containers on this machine.
LAB_ENV := $(filter lab lab_aws,$(ENV))
BIN := .venv/bin
# Without root, podman's networks are in a namespace of the user; what connects to the lab's hosts runs in it.
ROOTLESS := $(if $(LAB_ENV),$(shell [ "$$(id -u)" = 0 ] || echo podman unshare --rootless-netns))
# The emulator of AWS takes any key. Real ones, which the environment may hold, have no business there.
KEYS := $(if $(filter lab_aws,$(ENV)),env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator)
INSIDE := $(ROOTLESS) $(KEYS)
PLAYBOOK := $(INSIDE) $(BIN)/ansible-playbook -i inventories/$(ENV)
LAB := $(INSIDE) $(BIN)/ansible-playbook -i inventories/$(or $(LAB_ENV),lab)
DEPLOY = $(PLAYBOOK) playbooks/deploy.yml $(if $(VERSION),-e backend_version=$(VERSION)) $(if $(filter next,$(FRONTEND)),-e frontend_source=$(CURDIR)/dist/frontend) $(ARGS)
# Tools are also found by name: ansible calls ansible-galaxy, molecule calls ansible-config.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

REQUIREMENTS = $(if $(LAB_ENV),requirements-lab.txt,requirements.txt)

help: ## list the targets
	@echo "make TARGET [ENV=lab|lab_aws|dev|staging|production] [VERSION=1.0.0] [FRONTEND=static|next] [ARGS='--tags x']"
	@sed -n 's/^\([a-z_-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

deploy: ready ## deploy VERSION to ENV (default: the lab, which is created if necessary)
	@$(DEPLOY)

plan: ready ## list what `make deploy` would change, without changing it (boots the lab's hosts)
	@$(DEPLOY) --check --diff

roll-back: ready ## roll ENV back to the previous version
	@$(PLAYBOOK) playbooks/roll_back.yml $(ARGS)

destroy: ## remove the lab: hosts, network, .lab
	@$(MAKE) -s venv ENV=lab
	@$(LAB) playbooks/lab_down.yml

distclean: ## remove the lab, its images and all generated files
	@$(MAKE) -s venv ENV=lab
	@$(LAB) playbooks/lab_down.yml -e lab_hosts_keep_images=false
	@rm -rf .venv .cache .ansible .hypothesis .report dist

test: ## run all tests (installs what they need)
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) tests/run $(ARGS)

test-faults: ## run all fault tests on the labs (takes hours; `make test` runs a selection). ARGS='-k seed-7' selects
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) env NEXOD_TEST_EXAMPLES=2000 $(BIN)/pytest -v -s tests/lab/faults tests/lab_aws/faults \
		tests/integration/test_alembic_facts.py tests/integration/test_alembic_trees.py \
		tests/integration/test_alembic_matrix.py tests/integration/test_pgbouncer_settings.py \
		tests/integration/test_pgbouncer_servers.py tests/integration/test_pgbouncer_stop.py tests/unit/plugins/module_utils/_aws/test_killed.py \
		tests/unit/plugins/module_utils/_cache tests/integration/test_workflows.py \
		tests/integration/test_as_awx.py tests/archive/test_execution_environment.py \
		tests/archive/test_own_hosts.py $(ARGS)

test-image: ## build the execution environment; plan and deploy the lab in it (needs root)
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/pytest -v -s tests/archive/test_execution_environment.py tests/lab/faults/test_execution_environment.py $(ARGS)

bench: ## measure the first deploy (with existing images) and the second, medians of 3
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv ENV=lab
	@$(BIN)/python tests/bench/bench_deploy.py $(ARGS)

bench-aws: ## compare an environment on AWS with the stock modules, on an emulator
	@$(PYTHON) tools/prerequisites.py
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_aws.py $(ARGS)

bench-cache: ## measure cache flushes and their effect on other clients, compared with other tools
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_cache.py $(ARGS)

bench-deploy: ## put load on the lab during an upgrade and a rollback; fails if users would have noticed
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) $(BIN)/python tests/bench/bench_zero_downtime.py --env $(ENV) $(ARGS)

bench-migrate: ## compare alembic_upgrade with the alembic command
	@$(PYTHON) tools/prerequisites.py
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_migrate.py $(ARGS)

bench-monitoring: ## compare the roles for Prometheus and Grafana with others; measure rules and verdict
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) $(BIN)/python tests/bench/bench_monitoring.py $(ARGS)

bench-pgbouncer: ## compare the role's PgBouncer with one configured by hand and with a direct connection
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) $(BIN)/python tests/bench/bench_pgbouncer.py $(ARGS)

bench-profiling: ## measure how much longer requests wait while the API is profiled; fails over 10 % at p95
	@$(PYTHON) tools/prerequisites.py
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_profiling.py $(ARGS)

readmes: venv ## write the READMEs of the roles and the contents of the main one
	@$(BIN)/python tools/readmes.py

# --- targets that the ones above use

.PHONY: ready
ifneq ($(LAB_ENV),)
ready: lab_up $(if $(filter next,$(FRONTEND)),front_end)
else ifeq ($(ENV),dev)
# The example's release; a product's own is built by playbooks/build_release.yml.
ready: prerequisites venv
	@$(BIN)/python examples/api/build.py $(or $(VERSION),$(INVENTORY_VERSION)) -o dist/
else
ready: prerequisites venv
endif

lab_up: prerequisites venv ## boot the lab's hosts
	@$(BIN)/python examples/api/build.py $(or $(VERSION),$(INVENTORY_VERSION)) -o dist/
	@$(LAB) playbooks/lab_up.yml $(if $(VERSION),-e backend_version=$(VERSION))

front_end:
	@$(PYTHON) tools/make_venv.py requirements-frontend.txt
	@$(BIN)/python examples/frontend/build.py -o dist/frontend

prerequisites:
	@$(PYTHON) tools/prerequisites.py $(if $(LAB_ENV),--lab --install)

venv: ## create or update .venv with the locked versions
	@$(PYTHON) tools/make_venv.py $(REQUIREMENTS)

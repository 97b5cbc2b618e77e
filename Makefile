# The newcomer's commands; `make` alone lists them. Everything else is ansible-playbook (README.md).
ENV ?= lab
# Which release; the inventory says it unless it is given here.
VERSION ?=
# Found before .venv is put into the path: it makes .venv.
PYTHON := $(shell command -v $(or $(PYTHON),python3))
ARGS ?=

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deploy plan roll-back destroy distclean test test-faults bench bench-cache bench-deploy bench-migrate readmes lab_up venv prerequisites

ifneq ($(wildcard inventories/$(ENV)/hosts.yml),inventories/$(ENV)/hosts.yml)
$(error No inventory inventories/$(ENV): ENV is one of $(filter-out shared,$(notdir $(wildcard inventories/*))))
endif

INVENTORY_VERSION = $(shell sed -n 's/^backend_version: *//p' inventories/shared/backend.yml)
BIN := .venv/bin
# Without root, podman's networks live in a namespace of the user's own; what talks to the lab's hosts runs in there.
INSIDE := $(if $(filter lab,$(ENV)),$(shell [ "$$(id -u)" = 0 ] || echo podman unshare --rootless-netns))
PLAYBOOK := $(INSIDE) $(BIN)/ansible-playbook -i inventories/$(ENV)
LAB := $(INSIDE) $(BIN)/ansible-playbook -i inventories/lab
DEPLOY = $(PLAYBOOK) playbooks/deploy.yml $(if $(VERSION),-e backend_version=$(VERSION)) $(ARGS)
# The tools are found by name too (ansible calls ansible-galaxy, molecule calls ansible-config).
export PATH := $(CURDIR)/.venv/bin:$(PATH)

REQUIREMENTS = $(if $(filter lab,$(ENV)),requirements-lab.txt,requirements.txt)

help: ## this list
	@echo "make TARGET [ENV=lab|dev|staging|production] [VERSION=1.0.0] [ARGS='--tags x']"
	@sed -n 's/^\([a-z_-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

deploy: ready ## bring ENV (default: the lab, from nothing) to VERSION: running, migrated, watched, verified
	@$(DEPLOY)

plan: ready ## say what `make deploy` would do, changing nothing (the lab's hosts are booted for it)
	@$(DEPLOY) --check --diff

roll-back: ready ## return ENV to the version before
	@$(PLAYBOOK) playbooks/roll_back.yml $(ARGS)

destroy: ## remove the lab: hosts, network, .lab
	@$(MAKE) -s venv ENV=lab
	@$(LAB) playbooks/lab_down.yml

distclean: ## remove the lab, its images and everything made here
	@$(MAKE) -s venv ENV=lab
	@$(LAB) playbooks/lab_down.yml -e lab_hosts_keep_images=false
	@rm -rf .venv .cache .ansible .hypothesis .report dist

test: ## pass all tests (sets everything up)
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) tests/run $(ARGS)

test-faults: ## every fault and round on the lab (hours; `make test` runs a selection). ARGS='-k seed-7' picks
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) $(BIN)/pytest -v -s tests/lab/faults tests/integration/test_alembic_facts.py \
		tests/integration/test_alembic_trees.py tests/integration/test_alembic_matrix.py $(ARGS)

bench: ## medians of 3: first deploy with the images at hand, second deploy
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv ENV=lab
	@$(BIN)/python tests/bench/bench_deploy.py $(ARGS)

bench-cache: ## how quickly a cache flush goes and what others notice of it, against its peers
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_cache.py $(ARGS)

bench-deploy: ## what users notice of an upgrade and a roll-back of the lab under load: nothing, or it fails
	@$(PYTHON) tools/prerequisites.py --lab --install
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(INSIDE) $(BIN)/python tests/bench/bench_zero_downtime.py $(ARGS)

bench-migrate: ## what alembic_upgrade costs beside the bare alembic command
	@$(PYTHON) tools/prerequisites.py
	@$(MAKE) -s venv REQUIREMENTS=requirements-dev.txt
	@$(BIN)/python tests/bench/bench_migrate.py $(ARGS)

readmes: venv ## write the README.md of every role from its argument specification
	@$(BIN)/python tools/role_readmes.py

# --- what the targets above stand on

.PHONY: ready
ifeq ($(ENV),lab)
ready: lab_up
else
ready: prerequisites venv
endif

lab_up: prerequisites venv ## boot the lab's hosts
	@$(BIN)/python examples/api/build.py $(or $(VERSION),$(INVENTORY_VERSION)) -o dist/
	@$(LAB) playbooks/lab_up.yml

prerequisites:
	@$(PYTHON) tools/prerequisites.py $(if $(filter lab,$(ENV)),--lab --install)

venv: ## make .venv, or bring it to what is pinned
	@$(PYTHON) tools/make_venv.py $(REQUIREMENTS)

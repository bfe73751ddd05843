# Every target makes what it needs: a virtual environment in $(VENV), nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed-$(1)
TEST = $(BIN)/python -m pytest
PARALLEL = $(if $(JOBS),-q -n $(JOBS) --dist loadfile)

.DEFAULT_GOAL := help
.PHONY: help demo demo-worker docs pictures test test-quick test-random test-long test-agents fuzz test-packages check format bench bench-quick bench-actors clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(call STAMP,run) ## Watch an agent work: progress, deliverables, one redone, a clean end.
	$(BIN)/optio-agents run --deliverables demo-out -- $(CURDIR)/$(BIN)/python $(CURDIR)/examples/rejected_agent.py

demo-worker: $(call STAMP,dev) ## The same inside optio: a MongoDB, a worker, tasks that are launched, cancelled, resumed.
	$(BIN)/python examples/worker_demo.py

test: $(call STAMP,dev) ## Run the whole test suite, with real servers; JOBS=N in N processes.
	$(TEST) $(PARALLEL) -m "not agents and not packages and not long"

test-quick: $(call STAMP,dev) ## Run the tests that need no server and no long search (about two minutes).
	$(TEST) -q -m "not agents and not packages and not servers and not browser and not slow and not long" $(ARGS)

pictures: $(call STAMP,dev) ## Make the pictures in docs/images/ again: the page in a real Chromium, a run at a terminal.
	PICTURES=docs/images $(TEST) -q tests/web/test_pictures.py tests/cli/run/output/test_pictures.py

test-random: $(call STAMP,dev) ## Run the property tests on random examples; SEED=N repeats a run.
	HYPOTHESIS_PROFILE=random $(TEST) -q -m "hypothesis and not agents and not packages and not long and not servers and not browser" \
	  --hypothesis-seed=$(or $(SEED),$(shell shuf -i 1-1000000000 -n 1))

fuzz: $(call STAMP,dev) ## Random input for all that reads what agents, hosts and networks send: SECONDS=600.
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

test-long: $(call STAMP,dev) ## Try what takes minutes: 50 cancels, 200 tasks, an outage of 30 s, 5 crashes, 50 bad links, every lie of a host.
	OPTIO_AGENTS_TEST_CANCELS=50 OPTIO_AGENTS_TEST_TASKS=100 OPTIO_AGENTS_TEST_OUTAGE=30 OPTIO_AGENTS_TEST_CRASHES=5 \
	  OPTIO_AGENTS_TEST_LINKS=50 $(TEST) -s -o timeout=1800 tests/optio/test_life.py tests/optio/test_outage.py tests/optio/test_redis_outage.py \
	  tests/optio/test_crash.py tests/remote/test_links.py
	$(TEST) -m long

test-agents: $(call STAMP,dev) ## Run the tests with real agent CLIs, which npm brings into .agents/.
	$(BIN)/python tests/agents/install.py $(AGENTS)
	$(TEST) -m "agents and not packages"

test-packages: $(call STAMP,dev) ## Install the published agent packages beside this one and run two of them (five minutes).
	$(BIN)/python tests/agents/install.py claude codex
	$(TEST) -m packages

check: $(call STAMP,dev) ## Check lint, format, types, and the programs and links of the documents.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(TEST) -q tests/test_readme.py tests/actors/test_guide.py tests/actors/test_typing.py

docs: $(call STAMP,docs) ## Build the documentation site into site/; every warning is an error.
	$(BIN)/sphinx-build -q -W --keep-going -E -b html docs site

format: $(call STAMP,dev) ## Format the code and apply safe lint fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(call STAMP,run): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(call STAMP,dev): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[test,dev,otel,mongo]'
	touch $@ $(call STAMP,run)

$(call STAMP,docs): pyproject.toml $(call STAMP,dev)
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

$(call STAMP,bench): pyproject.toml $(call STAMP,dev)
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	touch $@

bench: $(call STAMP,bench) ## Measure sessions beside the published package and the machine's limits; writes docs/benchmarks.md.
	$(BIN)/python -m benchmarks.sessions

bench-quick: $(call STAMP,bench) ## The same on small logs, in less than two minutes; prints only.
	$(BIN)/python -m benchmarks.sessions --quick

bench-actors: $(call STAMP,bench) ## Measure the actor runtime beside others; writes docs/benchmarks-actors.md.
	$(BIN)/python -m benchmarks.actors

clean: ## Remove what the other targets made.
	rm -rf site .venv* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo-out

# Every target makes what it needs: a virtual environment in .venv, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP = $(VENV)/.installed-$(1)

.PHONY: demo demo-worker test test-agents check format bench bench-quick bench-actors clean

demo: $(call STAMP,run) ## Watch an agent work: progress, deliverables, one redone, a clean end.
	$(BIN)/optio-agents run --deliverables demo-out -- $(CURDIR)/$(BIN)/python $(CURDIR)/examples/rejected_agent.py

demo-worker: $(call STAMP,dev) ## The same inside optio: a MongoDB, a worker, tasks that are launched, cancelled, resumed.
	$(BIN)/python examples/worker_demo.py

test: $(call STAMP,dev) ## The whole test suite, with real servers.
	$(BIN)/python -m pytest -m "not agents"

test-agents: $(call STAMP,dev) ## The tests with real agent CLIs, which npm brings into .agents/.
	$(BIN)/python tests/agents/install.py $(AGENTS)
	$(BIN)/python -m pytest -m agents

check: $(call STAMP,dev) ## Lint, format, types, and whether the documents' programs run and their links lead somewhere.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_readme.py tests/actors/test_guide.py

format: $(call STAMP,dev)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(call STAMP,run): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(call STAMP,dev): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test,dev,otel,mongo]'
	touch $@ $(call STAMP,run)

$(call STAMP,bench): pyproject.toml $(call STAMP,dev)
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	touch $@

bench: $(call STAMP,bench) ## Sessions beside the published package and the machine's limits; writes docs/benchmarks.md.
	$(BIN)/python -m benchmarks.sessions

bench-quick: $(call STAMP,bench) ## The same on small logs, in less than two minutes; prints only.
	$(BIN)/python -m benchmarks.sessions --quick

bench-actors: $(call STAMP,bench) ## The actor runtime beside others; writes docs/benchmarks-actors.md.
	$(BIN)/python -m benchmarks.actors

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo-out

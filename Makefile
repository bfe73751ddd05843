# Every target makes what it needs: a virtual environment in .venv, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP = $(VENV)/.installed-$(1)

.PHONY: demo demo-worker test test-agents check format bench bench-quick bench-actors clean

demo: $(call STAMP,run) ## Watch an agent work: progress, deliverables, one redone, a clean end.
	$(BIN)/optio-agents run --deliverables demo-out -- $(CURDIR)/$(BIN)/python $(CURDIR)/examples/rejected_agent.py

test: $(call STAMP,dev) ## The whole test suite, real servers included where they are installed.
	$(BIN)/python -m pytest

check: $(call STAMP,dev) ## Lint, format, types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

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

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo-out

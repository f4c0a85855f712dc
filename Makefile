# Everything a newcomer needs: `make demo`, `make test`. Both set up what they need in .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint types imports doctests tests clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready  ## Make .venv with the package and everything the tests need

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,hf,sb3,tfrecord]'
	@touch $@

demo: setup  ## Search for a network on real images: about three minutes on two cores
	$(BIN)/nasgym search digits --budget 150s

test: setup lint types imports doctests tests  ## Run every check; about ten minutes on two cores

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

doctests: setup
	$(BIN)/python -m pytest -q --doctest-modules src/nasgym

tests: setup
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

clean:  ## Remove .venv and what tools left behind
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

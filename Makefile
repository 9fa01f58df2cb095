# Every target works alone on a fresh clone: what it needs is set up first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test slow coverage lint docs bench release clean

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.stamp
DEMO_ARGS ?= train digits --granularity layer --runtime lava --out runs/demo --overwrite
TEST_ARGS ?=
# A third one works while the others wait for OS processes, which they do half of the time.
WORKERS ?= 3
BENCH_ARGS ?=
DOCS_ARGS ?=

# Hundreds of tests start an interpreter: each would compile whatever it imports, 5 s of it.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv with everything, from whatever Python there is (or PYTHON=...)

$(READY): pyproject.toml constraints.txt
	@VENV=$(VENV) bash scripts/setup

demo: $(READY) ## learn digits on Lava's own runtime (other options: DEMO_ARGS=...)
	$(BIN)/lava-dyads $(DEMO_ARGS)

test: $(READY) ## run the tests, without the long studies (other options: TEST_ARGS=...)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(TEST_ARGS)

slow: $(READY) ## run the long studies alone, for an hour or two
	$(BIN)/python -m pytest -q -n $(WORKERS) -m slow --timeout 3600 $(TEST_ARGS)

coverage: $(READY) ## run the tests and report which lines they reach
	$(BIN)/python -m pytest -q -n $(WORKERS) --cov --cov-report term:skip-covered $(TEST_ARGS)

lint: $(READY) ## check style, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(READY) ## build the pages into docs/_build/html (DOCS_ARGS='-D nb_execution_mode=off': quickly)
	$(BIN)/python -m sphinx -q -W --keep-going -n -j 2 -c docs $(DOCS_ARGS) . docs/_build/html
	$(BIN)/python docs/check.py docs/_build/html

bench: $(READY) ## measure times, as ratios to a peer (options: BENCH_ARGS=...)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

release: $(READY) ## build what is published into dist/, and check it
	@PYTHON=$(BIN)/python bash scripts/release

clean: ## remove caches and build products; .venv, .tools and runs stay
	rm -rf build dist docs/_build docs/api *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache lava.log
	find . \( -name .venv -o -name .tools -o -name .git -o -name runs \) -prune -o \
		-type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

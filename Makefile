# Two commands do all the set-up: `make run` opens the dashboard, `make test` passes every test.
# The environment is .venv in this folder; it is built when it is missing or older than its inputs.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SAMPLES := $(VENV)/.samples
PYTEST := $(BIN)/python -m pytest

.PHONY: run test check bench claims experiment-staged experiment-structure experiment-distillation experiment-strategies verify samples clean env format
.DEFAULT_GOAL := run
# Threads that wait by spinning take the cores from each other when two processes compute.
export GOMP_SPINCOUNT ?= 5000

run: $(SAMPLES)  ## open the dashboard with the bundled model and data
	$(BIN)/bertloom ui

# Units and pages on all cores (four at most), one file a process; then the browser, two files at a time: their tests wait a lot.
# Both begin with the files that take longest (tests/conftest.py, tests/e2e/conftest.py), which would keep one core busy at the end.
# Side by side both would be shorter, but the patience of the browser's tests is for a machine that does little else.
# They start hundreds of processes, which should not compile the same modules.
test: $(SAMPLES)  ## every test: units, pages, browser
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(PYTEST) tests/unit tests/pages -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 20
	env -u PYTHONDONTWRITEBYTECODE $(PYTEST) tests/e2e -n 2 --dist loadfile --no-loadscope-reorder --durations 20

check: $(STAMP)  ## lint, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

verify: $(SAMPLES)  ## the long proofs
	$(PYTEST) -m verify --timeout 3600 tests

bench: $(SAMPLES)  ## ratios against named peers; set MINUTES to stop earlier or later
	$(BIN)/python -m tests.benchmarks --minutes $(or $(MINUTES),60)

claims: $(SAMPLES)  ## the article's sentences on bundled data, 5 seeds; goes on from what is there; MINUTES as above
	$(BIN)/python -m tests.benchmarks.claims --minutes $(or $(MINUTES),60)

experiment-staged: $(SAMPLES)  ## staged plans against a search at equal steps, and every ready plan once; goes on; MINUTES as above
	$(BIN)/python -m tests.benchmarks.staged --minutes $(or $(MINUTES),60)

experiment-structure: $(SAMPLES)  ## word graphs' shapes against uniform, random and hand-made ones, 8 seeds; goes on; MINUTES as above
	$(BIN)/python -m tests.benchmarks.structure --minutes $(or $(MINUTES),60)

experiment-distillation: $(SAMPLES)  ## students of three and two layers with and without their teacher, 5 seeds; goes on; MINUTES as above
	$(BIN)/python -m tests.benchmarks.distillation --minutes $(or $(MINUTES),60)

experiment-strategies: $(SAMPLES)  ## single, joint and pointer-based fine-tuning, both budgets, 5 seeds; goes on; MINUTES as above
	$(BIN)/python -m tests.benchmarks.strategies --minutes $(or $(MINUTES),60)

samples: $(STAMP)  ## download, check and unpack the sample packages; mends damaged ones
	$(BIN)/python -m core.data.samples
	@touch $(SAMPLES)

env: $(STAMP)

format: $(STAMP)
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .

$(STAMP): pyproject.toml requirements/constraints.txt
	@test -n "$(PYTHON)" || { echo "Bertloom needs Python 3.11 or newer; none was found. Install one, or say which: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt --editable ".[dev]"
	@touch $(STAMP)

$(SAMPLES): $(STAMP) requirements/samples.txt
	$(BIN)/python -m core.data.samples
	@touch $(SAMPLES)

clean:  ## remove the environment and caches (the home folder with runs stays)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache tests/e2e/artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

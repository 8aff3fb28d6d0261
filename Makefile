# calwatch: everything a fresh machine needs is installed into .venv by these targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo
ARGS   ?=

.PHONY: help demo demo-live test services lint types container fuzz audit bench truth sets season storm flow focal day year \
        lock clean

help:               ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

# The bootstrap brings a pinned, hashed uv, which installs the rest from hashed locks in seconds.
$(VENV)/bootstrap.stamp: requirements-bootstrap.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "calwatch needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@touch $@

INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes
SELF    = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

$(VENV)/run.stamp: $(VENV)/bootstrap.stamp requirements.txt pyproject.toml
	$(INSTALL) -r requirements.txt
	$(SELF)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	@touch $@

# The peers that calwatch is compared with are no part of it: installed only for the benchmark.
$(VENV)/bench.stamp: $(VENV)/dev.stamp requirements-bench.txt
	$(INSTALL) -r requirements-bench.txt
	@touch $@

$(VENV)/fuzz.stamp: $(VENV)/dev.stamp requirements-fuzz.txt
	$(INSTALL) -r requirements-fuzz.txt
	@touch $@

# What audits is installed apart: it is no part of what is audited.
$(VENV)/audit/done.stamp: $(VENV)/bootstrap.stamp requirements-audit.txt
	$(PYTHON) -m venv $(VENV)/audit
	$(BIN)/uv pip install --quiet --python $(VENV)/audit/bin/python --require-hashes -r requirements-audit.txt
	@touch $@

demo: $(VENV)/run.stamp      ## Simulate LATISS nights with faults, verify every exposure, show the verdicts. Ends by itself.
	$(BIN)/calwatch demo --once --dir $(DEMO) $(ARGS)

demo-live: $(VENV)/run.stamp ## The same, then keep running while new exposures arrive. Ctrl-C ends it.
	$(BIN)/calwatch demo --dir $(DEMO) $(ARGS)

services: $(VENV)/dev.stamp  ## Bring the real servers of the tests into .services (Kafka and others; needs mvn and go).
	$(BIN)/python tests/services/install.py

# In their order: else files of few tests, which take the longest, would come last and alone. Three at once on two cores,
# since many tests wait for servers.
test: services               ## Run every test.
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/dev.stamp      ## ruff: rules and format.
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests

types: $(VENV)/dev.stamp     ## mypy, strict.
	$(BIN)/mypy

container: $(VENV)/dev.stamp ## Prove the image: the Dockerfile's own steps in a clean Debian root (needs root and debootstrap).
	$(BIN)/python tests/container/prove.py $(ARGS)

fuzz: $(VENV)/fuzz.stamp     ## Fuzz what reads files and messages, a minute each (ARGS="--seconds 600 raw").
	$(BIN)/python tests/fuzz/run.py $(ARGS)

audit: $(VENV)/audit/done.stamp ## Ask whether anything locked is known to be vulnerable (3: nobody could be asked).
	$(VENV)/audit/bin/python tests/audit/audit.py requirements.txt requirements-dev.txt

bench: $(VENV)/bench.stamp services ## Cost of verifying one CCD beside ccdproc and a bare read, and of what stands around it.
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

truth: $(VENV)/dev.stamp     ## Full-size truth run: injected against recovered values over many seeds (long).
	$(BIN)/python tests/benchmarks/truth.py $(ARGS)

sets: $(VENV)/dev.stamp      ## Simulated truth of pairs, curves and stacks: 224 amplifiers through the real ISR (long).
	$(BIN)/python tests/benchmarks/sets.py $(ARGS)

season: $(VENV)/dev.stamp    ## Two months of LSSTCam in numbers with known problems: which alarms come of it (minutes).
	$(BIN)/python tests/benchmarks/season.py $(ARGS)

storm: $(VENV)/dev.stamp services ## Kill daemon, workers, broker and registry at random, hundreds of times (long).
	$(BIN)/python tests/benchmarks/storm.py $(ARGS)

flow: $(VENV)/dev.stamp services ## From event to job: latency, a backlog, memory.
	$(BIN)/python tests/benchmarks/flow.py $(ARGS)

focal: $(VENV)/dev.stamp services ## A whole LSSTCam focal plane, three exposures, from event to published numbers (long).
	$(BIN)/python tests/benchmarks/focal_plane.py $(ARGS)

day: $(VENV)/dev.stamp services  ## A day of LSSTCam's events in minutes: what is lost, what grows (ARGS="--minutes 40").
	$(BIN)/python tests/benchmarks/day.py $(ARGS)

year: $(VENV)/dev.stamp services ## How quick the page is when the ledger holds a year of LSSTCam (long).
	$(BIN)/python tests/benchmarks/year.py $(ARGS)

lock: $(VENV)/bootstrap.stamp ## Refresh the locked requirements.
	$(BIN)/uv pip compile -q requirements-bootstrap.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements-bootstrap.txt
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra dev -c requirements.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements-dev.txt
	$(BIN)/uv pip compile -q requirements-bench.in -c requirements.txt -c requirements-dev.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements-bench.txt
	$(BIN)/uv pip compile -q requirements-fuzz.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements-fuzz.txt
	$(BIN)/uv pip compile -q requirements-audit.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements-audit.txt

clean:              ## Remove the environment, caches and the demo.
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 1

.PHONY: install run test check bench torture faults soak teeth format clean

install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

run: install  ## start everything on this machine
	$(BIN)/linkflow up

test: install  ## all tests (Kafka's need Java and Maven, the browser's need Chromium)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: install  ## lint, format, types, import rules, golden files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## all workloads on both logs (a quarter of an hour): a table and JSON
	$(BIN)/python -m benchmarks

torture: install  ## 10,000 executions under a storm on both logs (half an hour), crash points, faults, overload; SEED=n
	$(BIN)/python -m tests.torture --log postgres --size full --seed $(SEED) --report torture-postgres-$(SEED).md
	$(BIN)/python -m tests.torture --log kafka --size full --seed $(SEED) --report torture-kafka-$(SEED).md
	$(BIN)/python -m pytest -m torture tests/torture/test_crash_points.py
	$(BIN)/python -m tests.torture.overload --mix light --seconds 60
	$(BIN)/python -m tests.torture.overload --mix dear --seconds 60

faults: install  ## one by one under load: the database and its disk, 10,000 timers at once, restarts, rebalances
	LINKFLOW_TEST_WAITS=10000 LINKFLOW_TEST_REBALANCE_SECONDS=60 $(BIN)/python -m pytest -m torture -s \
	    tests/torture/test_servers.py tests/torture/test_movements.py tests/torture/test_races.py \
	    tests/torture/test_timer_herd.py

soak: install  ## an hour at half load with a kill a minute; SEED=n
	$(BIN)/python -m tests.torture.soak --minutes 60 --seed $(SEED) --report soak-$(SEED).md

teeth: install  ## plant every bug of tests/torture/teeth in a copy of the tree: all must be caught
	$(BIN)/python -m tests.torture.teeth

clean:
	rm -rf $(VENV) .linkflow

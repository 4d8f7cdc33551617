# Two commands do everything on a machine that has Python 3.11 or newer and make: `make up` and `make test`.

PYTHON ?= python3
VENV ?= .venv
DATA ?= .teamroom
PORT ?=
SPEED ?=
WORKERS ?= 3
BIN := $(VENV)/bin

# Compiled modules are kept, even if the environment says otherwise: compiling all tests anew takes each worker six seconds.
export PYTHONDONTWRITEBYTECODE :=

# It shows each package, because this is what a person waits for at first.
INSTALL := $(BIN)/pip install --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header

CHECKED := $(addprefix tests/,rules capabilities control members messages reminders resources tasks)

.PHONY: up demo notify postgres check test lint types contracts tests test-harnesses test-libraries test-outside bench campaigns faults faults-postgres wire fuzz simulation models mutants lock clean

up: $(VENV)/.runs ## open a room here and print how to join it
	@echo "Opening the room in $(DATA) (a few seconds)"
	$(BIN)/teamroom up --data $(DATA) $(if $(PORT),--port $(PORT))

demo: $(VENV)/.runs ## show a living room: five scripted agents in a temporary folder; SPEED=0 waits for nothing
	$(BIN)/teamroom demo $(if $(SPEED),--speed $(SPEED))

notify: $(VENV)/.runs ## install the extra with which the room sends letters
	$(INSTALL) --require-hashes -r requirements-notify.lock

postgres: $(VENV)/.runs ## install the extra with which the room is kept in PostgreSQL
	$(INSTALL) --require-hashes -r requirements-postgres.lock

check: lint types contracts ## a minute and a half while you work: style, types, imports, rules and acts
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(CHECKED)

test: lint types contracts tests ## everything that must hold before a change lands: about a quarter of an hour on two cores

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tests
	$(BIN)/mypy

contracts: $(VENV)/.tests
	$(BIN)/lint-imports --no-logo

tests: $(VENV)/.tests
	@$(BIN)/python -m tests.support.browsers
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-harnesses: $(VENV)/.tests ## eleven real harnesses at work in a room; writes what it verified into the record and the pages
	$(BIN)/python -m tests.harness.install
	$(BIN)/python -m pytest -m harness tests/harness; code=$$?; $(BIN)/python -m tests.support.generated; exit $$code

test-libraries: $(VENV)/.tests ## fastmcp, pydantic-ai and an older SDK as members of a room, and a person in the chat client fast-agent
	$(BIN)/python -m tests.libraries.install
	$(BIN)/python -m pytest -m libraries tests/libraries

test-outside: $(VENV)/.tests ## the protocol's conformance suite, the Inspector and both TypeScript SDKs against a real room
	$(BIN)/python -m tests.outside.install
	$(BIN)/python -m pytest -m outside tests/outside

bench: $(VENV)/.tests ## what the tools cost a model, how soon a thousand are told, what a tick and a start cost, and all of docs/benchmarks.md
	$(BIN)/python -m tests.bench.schemas
	$(BIN)/python -m tests.bench.throughput
	$(BIN)/python -m tests.bench.listeners
	$(BIN)/python -m tests.bench.delivery
	$(BIN)/python -m tests.bench.ticks
	$(BIN)/python -m tests.bench.start
	$(BIN)/python -m tests.bench.switch
	$(BIN)/python -m tests.bench.demo
	$(BIN)/python -m tests.bench.gate
	$(BIN)/python -m tests.bench.page
	$(BIN)/python -m tests.bench

campaigns: $(VENV)/.tests ## claims, pauses, kills, cancelled calls, the switch under load, lost connections, fair shares and every act in a large room, in full: about a quarter of an hour
	$(BIN)/python -m tests.campaigns.claims 200
	$(BIN)/python -m tests.campaigns.pauses 500
	$(BIN)/python -m tests.campaigns.kills 200
	$(BIN)/python -m tests.campaigns.cancels 10000
	$(BIN)/python -m tests.campaigns.switch 550
	$(BIN)/python -m tests.campaigns.reconnects 1000
	$(BIN)/python -m tests.campaigns.fairness 10
	$(BIN)/python -m tests.campaigns.sizes 100000

faults: $(VENV)/.tests ## kills, power cuts, full disks and damage under the store, in their full length: about half an hour
	TEAMROOM_TEST_STRIDE=1 $(BIN)/python -m pytest tests/store/test_migrations.py tests/record/test_seal.py tests/record/test_backups.py tests/house/test_models.py
	$(BIN)/python -m tests.campaigns.store_kills 10000
	$(BIN)/python -m tests.campaigns.power_cuts 10000
	$(BIN)/python -m tests.campaigns.supervisor_kills 2000
	$(BIN)/python -m tests.campaigns.full_disks 50
	$(BIN)/python -m tests.campaigns.bit_flips 1000
	$(BIN)/python -m tests.campaigns.forgeries 1

faults-postgres: $(VENV)/.tests ## models and campaigns on PostgreSQL, and what only several servers and a database of their own can suffer: about an hour
	$(BIN)/python -m tests.campaigns.two_servers 200
	$(BIN)/python -m tests.campaigns.postgres_stops 50
	$(BIN)/python -m tests.campaigns.network_cuts 20
	$(BIN)/python -m tests.campaigns.takeovers 10
	$(BIN)/python -m tests.models 40 40 --engine postgres
	$(BIN)/python -m tests.campaigns.claims 50 --engine postgres
	$(BIN)/python -m tests.campaigns.pauses 100 --engine postgres
	$(BIN)/python -m tests.campaigns.kills 50 --engine postgres
	$(BIN)/python -m tests.campaigns.cancels 2000 --engine postgres
	$(BIN)/python -m tests.campaigns.switch 110 --engine postgres
	$(BIN)/python -m tests.campaigns.reconnects 500 --engine postgres
	$(BIN)/python -m tests.campaigns.fairness 5 --engine postgres

wire: $(VENV)/.tests ## broken frames, bad input, clients that never read, a thousand connections and callers without a token, in full: about half an hour
	$(BIN)/python -m pytest --hypothesis-profile=many tests/rules tests/tools/test_bad_input.py tests/http/test_connections.py
	$(BIN)/python -m tests.campaigns.frames 1000000
	$(BIN)/python -m tests.campaigns.stuck 200
	$(BIN)/python -m tests.campaigns.crowd 1000
	$(BIN)/python -m tests.campaigns.strangers 5000

fuzz: $(VENV)/.tests ## let coverage lead the way to bad bytes for ten minutes each; needs `.venv/bin/pip install atheris`
	$(BIN)/python -m tests.campaigns.coverage_fuzz 600

mutants: $(VENV)/.tests ## change each rule in every small way; the tests of rules must find nine in ten
	$(BIN)/python -m tests.campaigns.mutants

simulation: $(VENV)/.tests ## weeks of a room of scripted agents on virtual time: 10,000 days of honest agents, 100,000 slots of reminders: about twenty minutes
	$(BIN)/python -m tests.simulation 10000

models: $(VENV)/.tests ## every model of the room in full, each 3,000 runs of 100 steps
	$(BIN)/python -m tests.models 3000 100

lock: $(VENV)/.tests ## write the lock files anew from pyproject.toml
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) pyproject.toml --extra notify -c requirements.lock -o requirements-notify.lock
	$(LOCK) pyproject.toml --extra postgres -c requirements.lock -o requirements-postgres.lock
	$(LOCK) pyproject.toml --group dev -c requirements.lock -c requirements-build.lock -c requirements-notify.lock -c requirements-postgres.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Teamroom needs Python 3.11 or newer; call make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# What builds the room is locked too, so the room itself is installed without an index.
$(VENV)/.runs: $(VENV)/.made requirements.lock requirements-build.lock pyproject.toml
	@echo "1 of 2: installing what the room needs into $(VENV) (about half a minute)"
	$(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock
	@echo "2 of 2: installing the room"
	$(INSTALL) --quiet --no-index --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/.tests: $(VENV)/.runs requirements-dev.lock
	@echo "Installing what the tests need into $(VENV) (about half a minute)"
	$(INSTALL) --require-hashes -r requirements-dev.lock
	touch $@

# Every target installs what it needs first. Wanted beforehand: Python 3.11 or newer, make, access to PyPI.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:

VENV := .venv
INSTALLED := $(VENV)/.installed
# The last that is fetched.
CONTRACTS := build/proto/google/api/http.proto
RELEASED := proto/released.binpb
POSTGRES_15 := /usr/lib/postgresql/15/bin
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

CODE := $(wildcard corebilling tools bench examples tests)
FINDER := for p in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done
SQL := $(wildcard sql/migrations/*.sql sql/queries/*.sql)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

.PHONY: install
install: $(INSTALLED) ## create .venv and install the program and its tools, as constraints.txt pins them

$(INSTALLED): pyproject.toml constraints.txt
	@python=$$($(FINDER)); \
	if [ -z "$$python" ]; then \
		echo "No Python 3.11 or newer with the venv module found; install one, or run: make PYTHON=/path/to/python install" >&2; exit 1; fi; \
	test -x $(VENV)/bin/python || "$$python" -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: deps
deps: $(CONTRACTS) ## fetch the third-party .proto files into build/proto

$(CONTRACTS): tools/fetch_protos.py | $(INSTALLED)
	python tools/fetch_protos.py
	@touch $@

.PHONY: gen
gen: $(INSTALLED) $(CONTRACTS) ## generate gen/ from proto/ and sql/
	python tools/generate.py
ifneq ($(SQL),)
	sqlc generate
endif
	python tools/event_catalogue.py
	python tools/openapi_document.py
	python tools/envoy_config.py

.PHONY: format
format: $(INSTALLED) $(CONTRACTS) ## format Python and proto files, fix what ruff can
	ruff check --quiet --fix --exit-zero $(CODE)
	ruff format $(CODE)
	buf format --write proto

.PHONY: verify
verify: $(INSTALLED) $(CONTRACTS) ## check format, lint, types, import rules, contracts, and that gen/ is up to date
	ruff format --check $(CODE)
	ruff check $(CODE)
	mypy $(CODE)
	lint-imports --no-logo
	buf format --diff --exit-code proto
	buf lint proto
	python tools/generate.py --check
	sqlc diff
	python tools/event_catalogue.py --check
	python tools/openapi_document.py --check
	python tools/envoy_config.py --check
	@if [ -f $(RELEASED) ]; then echo buf breaking proto --against $(RELEASED); buf breaking proto --against $(RELEASED); \
	else echo "$(RELEASED) does not exist: no released contract to break"; fi

.PHONY: released
released: $(INSTALLED) $(CONTRACTS) ## record the contracts as released: from now on verify refuses to break them
	buf build proto --exclude-source-info --output $(RELEASED)

.PHONY: kafka
kafka: $(INSTALLED) ## fetch Apache Kafka for tests and measurements; wants Java 17 and Maven, says so if they are missing
	python -m tests.support.kafka

.PHONY: test
test: $(INSTALLED) kafka ## run all tests but the long ones, two files at a time, on the embedded Postgres and on Debian's 15 if it is there
	pytest -q -n 2 --dist loadfile -m "not long"
	@if [ -x $(POSTGRES_15)/postgres ]; then echo "again on Postgres 15, what the database decides:"; \
	COREBILLING_TEST_POSTGRES_BIN=$(POSTGRES_15) pytest -q -n 2 --dist loadfile -m "not long" tests/queries tests/rpc tests/events; \
	else echo "skipped: Postgres 15 is not in $(POSTGRES_15)"; fi

.PHONY: test-fast
test-fast: $(INSTALLED) ## run the tests that need no database: models, numeric cases, contracts
	pytest -q -m "not long" $(wildcard tests/models tests/cases tests/contracts tests/tools)

.PHONY: demo
demo: $(INSTALLED) ## play a billing month, from contract to paid invoice; USAGE=file.csv bills your own usage
	python -m examples.month $(if $(USAGE),--usage '$(USAGE)')

.PHONY: samples
samples: $(INSTALLED) ## print sample invoices into build/samples: plain, with every kind of line, in Arabic and Japanese
	python -m examples.invoices

.PHONY: bench
bench: $(INSTALLED) kafka ## measure throughput and latency on this machine; LONG=1 adds 20 million usage records and 50,000 subscriptions
	python -m bench $(if $(LONG),--long)

.PHONY: faults
faults: $(INSTALLED) kafka ## run the fault campaign, a quarter of an hour; LONG=1 for hours, SEED=n to repeat a run
	pytest -q -s -m long tests/faults

.PHONY: oracle
oracle: export SEED ?= $(shell date +%s)
oracle: export CUSTOMERS ?= 10000
oracle: $(INSTALLED) ## compare random customers' years with a naive reckoning; SEED=n, CUSTOMERS=10000, ONLY=customer-17
	pytest -q -n $(if $(ONLY),0,$$(getconf _NPROCESSORS_ONLN)) --maxschedchunk 1 -m long --show-capture=no tests/oracle/test_years.py

.PHONY: walks
walks: export SEED ?= $(shell date +%s)
walks: export WALKS ?= 50
walks: $(INSTALLED) ## take random walks through all calls about money, and corrections beside what was right at once; SEED=n, WALKS=50, STEPS=40
	pytest -q -m long --show-capture=no tests/walks/test_walks.py

.PHONY: fuzz
fuzz: export FUZZ_SEED ?= $(shell date +%s)
fuzz: export FUZZ_INPUTS ?= 200000
fuzz: $(INSTALLED) ## ask every RPC what nobody would ask, over gRPC and HTTP; FUZZ_SEED=n, FUZZ_INPUTS=200000
	pytest -q -s -m long tests/fuzz

.PHONY: up
up: $(INSTALLED) ## serve everything in one process on an embedded Postgres
	corebilling up

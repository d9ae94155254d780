# What people and CI type. Every target works in a fresh checkout; `make` alone tells what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test test-aws check bench campaign campaign-mutants

CARGO ?= cargo

help:
	@echo "make demo    simulated Microsoft 365 tenant and a first import; Ctrl-C ends it and cleans up"
	@echo "             (ARGS='--mail DIR' imports mail of yours; needs Rust, a C compiler and make)"
	@echo "make test    everything: builds once, fetches what tests need, runs every test"
	@echo "make test-aws only the AWS side: the template deployed to an offline emulator (part of make test; needs Python 3.11)"
	@echo "make check   format, lints, licences and the walls between the crates"
	@echo "make campaign  faults for hours: 200,000 storms (one in 20 whole), 20,000 pairs of crashes, 1,000 kills; goes on where it was stopped"
	@echo "             (ARGS='--json', ARGS='--fresh', ARGS='--seeds 1000')"
	@echo "make campaign-mutants  plants bugs in a copy of the tree and looks whether the campaign finds each"
	@echo "make bench   how fast an import is, with the real binary; prints a table (ARGS=mix: scenes that begin so)"
	@echo "make bench-lambda how fast the functions start and what a run calls, beside a function in Python (needs Python 3.11)"

# The development profile: the same build that `make test` uses, so that nothing is compiled twice.
demo:
	$(CARGO) run --locked --package local --bin postroom -- demo $(ARGS)

test:
	@scripts/test

test-aws:
	@scripts/test-aws

.PHONY: bench-lambda
bench-lambda:
	@scripts/bench-lambda $(ARGS)

check:
	@scripts/check

bench:
	@scripts/bench $(ARGS)

campaign:
	@scripts/campaign $(ARGS)

campaign-mutants:
	@scripts/campaign-mutants $(ARGS)

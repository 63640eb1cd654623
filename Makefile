# Everything that can be done with this repository. `make` lists it.

CARGO ?= cargo
# The test majors: the oldest and newest supported, and the one that is installed.
TEST_MAJORS ?= 13,system,18

.DEFAULT_GOAL := help
.PHONY: help demo test matrix lint bench install deps

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## show every command on a throw-away cluster
	scripts/install-deps demo
	$(CARGO) build --locked
	$(CARGO) run --locked --quiet -- demo

test: ## run every test: unit tests, and against servers of the oldest, the newest and the installed major
	scripts/install-deps test
	scripts/fetch-postgres 13 18
	DBOPS_TEST_MAJORS=$(TEST_MAJORS) $(CARGO) test --locked --no-fail-fast

matrix: ## run the tests against servers of every supported major
	scripts/install-deps test
	scripts/fetch-postgres all
	DBOPS_TEST_MAJORS=all $(CARGO) test --locked --test it

lint: ## check formatting, lints, documentation and scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	@for script in $$(grep -lE "^#!.*bash" .ci/* scripts/* bench/* 2>/dev/null); do bash -n $$script || exit 1; done

bench: ## measure side by side with peers
	scripts/install-deps bench
	bench/run

install: ## build and install dbops for this user
	$(CARGO) install --path . --locked

deps: ## install what tests need (Debian and Ubuntu; elsewhere: say what)
	scripts/install-deps test

# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

# `make check` answers in a minute, `make test` runs what CI runs, `make demo` shows a rollout.
PYTHON ?= python3

.PHONY: check lint format coverage test demo clean

check: .tools
	@.venv/bin/python scripts/test check

lint: .tools
	@.venv/bin/python scripts/test python_lint

format: .tools
	@.venv/bin/ruff check --quiet --fix .
	@.venv/bin/ruff format .

coverage: .tools
	@.venv/bin/python scripts/test coverage

test: .tools
	@.venv/bin/python scripts/test

demo:
	@$(PYTHON) scripts/bootstrap requirements/demo.txt
	@.venv/bin/python demo/run.py

.PHONY: .tools
.tools:
	@$(PYTHON) scripts/bootstrap requirements/demo.txt requirements/test.txt

clean:
	rm -rf .venv .cache

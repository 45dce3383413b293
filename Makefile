# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

# `make check` answers in a minute, `make test` runs what CI runs, `make demo` shows a rollout.
# Distributions build Python with profile-guided optimisation, pyenv by default does not and takes 1.6 times as long;
# so the distribution's Python comes first where it is new enough.
PYTHON ?= $(shell /usr/bin/python3 -c 'import sys; print(sys.executable if sys.version_info >= (3, 11) else "python3")' \
	2>/dev/null || echo python3)

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

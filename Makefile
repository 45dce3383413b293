# Two commands do everything: `make demo` shows a rollout, `make test` runs what CI runs.
PYTHON ?= python3

.PHONY: demo test clean

demo:
	@$(PYTHON) scripts/bootstrap requirements/demo.txt
	@.venv/bin/python demo/run.py

test:
	@$(PYTHON) scripts/bootstrap requirements/demo.txt requirements/test.txt
	@.venv/bin/python scripts/test

clean:
	rm -rf .venv .cache

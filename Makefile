PYTHON ?= python3
BIN := .venv/bin
# pinned, so that pip does not resolve to whichever build is newest; set TORCH to a CPU wheel to keep CUDA out
TORCH ?= torch==2.13.0
# what one process of the tests compiles, the next does not compile again, whatever is set elsewhere
TESTS := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

.PHONY: demo test check slow site tables figures clean

demo: .venv/installed
	$(BIN)/ergosum demo

test: .venv/developed
	$(TESTS)

check: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/codespell ergosum tests docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md
	$(MAKE) site
	$(MAKE) test

slow: .venv/developed
	$(TESTS) --slow

site: .venv/developed
	OMP_NUM_THREADS=1 $(BIN)/python docs/website.py

tables: .venv/developed
	$(BIN)/python docs/tables.py

figures: .venv/developed
	$(BIN)/python docs/figures.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ergosum needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -e .
	touch $@

.venv/developed: .venv/installed
	$(BIN)/pip install -q -e '.[dev,track,docs]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache

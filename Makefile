.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# Every target that needs the environment depends on this stamp, so `make test` sets up by itself.
STAMP := .venv/.installed

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install -q "$$(grep ^uv== requirements.txt)"
	$(BIN)/uv pip install -q --compile-bytecode -r requirements.txt --python $(BIN)/python && touch $(STAMP)

setup: $(STAMP)  ## create .venv and install the lock

lab: $(STAMP)  ## open JupyterLab at chapter 00
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

test: $(STAMP)  ## run and verify everything, or one chapter: CHAPTER=05
	$(BIN)/pytest -n $(WORKERS) $(if $(CHAPTER),--chapter $(CHAPTER))

test-backends: $(STAMP)  ## the same notebooks on JAX and PyTorch: [BACKENDS=jax] [CHAPTER=05]
	$(BIN)/python -m tests.backends $(BACKENDS) $(if $(CHAPTER),--chapter $(CHAPTER))

notebooks: $(STAMP)  ## build and execute what changed: [CHAPTER=05] [FORCE=1]
	$(BIN)/python source/build.py $(CHAPTER) $(if $(FORCE),--force)

lint: $(STAMP)  ## style of the code, and notebooks in step with their sources
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python source/build.py --check

lock: $(STAMP)  ## renew requirements.txt from the ranges in pyproject.toml
	echo "-e ." | $(BIN)/uv pip compile - --universal --python-version 3.11 --upgrade --no-header --no-emit-index-url --no-emit-find-links -q -o requirements.txt

bench: $(STAMP)  ## ours beside others', in one run (takes most of an hour)
	for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file; done

clean:  ## remove the environment and caches, nothing else
	rm -rf .venv .venv-jax .venv-torch .pytest_cache .ruff_cache .hypothesis build *.egg-info

.PHONY: help setup lab test test-backends notebooks lint lock bench clean

# One virtual environment, one command a purpose. `make demo` and `make test` are the README's two commands.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Neighbours share fixtures: each worker has a half of the tests in their order, and takes from the other's end.
PARALLEL = -n $(WORKERS) --dist worksteal
SHOP := training_scripts/shop
DEBIAN := training_scripts/debian_packages

.PHONY: demo debian debian-links test test-slow test-gpu test-images lint format bench clean

demo: $(VENV)/.demo ## A small shop: classes and links from tables to scores, beside simple baselines; about 40 s
	$(BIN)/python $(SHOP)/demo.py

debian: $(VENV)/.demo ## Debian's packages from apt's lists: tables, graph, LM+GNN training, scores, embeddings
	$(BIN)/python $(DEBIAN)/build_tables.py --output $(DEBIAN)/tables
	$(BIN)/gsl run $(DEBIAN)/pipeline.yaml

debian-links: $(VENV)/.demo ## The same graph, link prediction: what does a package recommend?
	$(BIN)/python $(DEBIAN)/build_tables.py --output $(DEBIAN)/tables
	$(BIN)/gsl run $(DEBIAN)/recommends.yaml

test: $(VENV)/.dev ## Fast tests
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: $(VENV)/.dev java chromium ## The others: real kills, several processes, Spark
	$(BIN)/python -m pytest -m slow $(PARALLEL)

test-gpu: $(VENV)/.dev ## On a machine with a GPU: parity with the CPU, bfloat16, copies, NCCL; fails without one
	$(BIN)/python -m pytest -m gpu tests/gpu

test-images: $(VENV)/.dev ## The container image, built and run; root, buildah, mmdebstrap, 20 minutes; not in CI
	$(BIN)/python -m pytest -m image

lint: $(VENV)/.dev ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(WORKERS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Tables of measurements
	$(BIN)/pip install --quiet --constraint constraints.txt -e ".[text,minilm,bench]"
	$(BIN)/python $(DEBIAN)/build_tables.py --output $(DEBIAN)/tables
	$(BIN)/python benchmarks/bench_construct.py --edges 5000000
	$(BIN)/python benchmarks/bench_text.py $(DEBIAN)/pipeline.yaml
	$(BIN)/python benchmarks/bench_gnn.py $(DEBIAN)/pipeline.yaml
	$(BIN)/python benchmarks/bench_lm.py $(DEBIAN)/pipeline.yaml train.lm.dropout=0.0

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# pip is quiet but for errors; the stamp makes a second run skip it.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (a few minutes the first time)"
	$(BIN)/pip install --quiet --constraint constraints.txt -e ".[text,minilm,baseline]"
	@touch $@

# Tests of the Spark engine need Java, which is no Python package.
.PHONY: java
java:
	@command -v java >/dev/null || { \
	  echo "installing Java, which Spark needs (default-jre-headless)"; \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	    echo "Java is missing: install it, e.g. sudo apt-get install default-jre-headless"; exit 1; }; \
	  apt-get update -qq && apt-get install -qq --yes --no-install-recommends default-jre-headless >/dev/null; }

# Tests of pages look at them in a browser, which is no Python package either.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { \
	  echo "installing Chromium, in which pages are looked at"; \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	    echo "Chromium is missing: install it, e.g. sudo apt-get install chromium"; exit 1; }; \
	  apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium >/dev/null; }

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (a few minutes the first time)"
	$(BIN)/pip install --quiet --constraint constraints.txt -e ".[text,minilm,track,dev,dgl]"
	@touch $@

clean: ## The environment and all results of the examples
	rm -rf $(VENV) $(SHOP)/runs $(DEBIAN)/runs $(DEBIAN)/tables $(DEBIAN)/tables_before
	rm -rf $(filter-out $(SHOP)/tables,$(wildcard training_scripts/*/runs training_scripts/*/tables))

# The only commands: CI, pre-commit and people call these.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = shared services tests benchmarks docs/*.py .ci/audit.py
TESTS ?= tests
WEIGHTS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types contracts protos protos-check manifests train paper paper-recipe bench bench-models soak overload durability audit chaos docs lock clean system fuzz mutate failover bench-acceptance bench-pipeline bench-quick bench-serving bench-latency bench-speed bench-startup bench-growth images sbom e2e-containers e2e-cluster bench-remote

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Two stamps: the demo needs neither torch nor the tools of development.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,train,dev]'
	@touch $@

setup: $(VENV)/.dev ## Virtual environment with everything for development

demo: $(VENV)/.demo ## Three simulated strips through the whole pipeline; FRAMES=folder takes your own images
	$(BIN)/stripwatch demo $(if $(FRAMES),--frames '$(FRAMES)')

# Two at a time: the tests of processes mostly wait. A file's tests stay together, as they share servers.
test: $(VENV)/.dev ## All tests, the pipeline over real processes included; TESTS=path for some
	$(BIN)/pytest -n 2 --dist loadfile $(TESTS)

lint: $(VENV)/.dev ## Style, Dockerfiles and YAML
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint deploy/Dockerfile

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## Who may import whom
	$(BIN)/lint-imports

protos: $(VENV)/.dev ## Generated code from protos/
	PATH="$(abspath $(BIN)):$$PATH" PYTHON=$(BIN)/python protos/generate.sh

protos-check: protos ## Fails if the committed generated code is not what protos/ gives
	git diff --exit-code -- shared/stripwatch/rpc/v1 shared/stripwatch/rpc/oip

manifests: $(VENV)/.dev ## Validates the compose file, and every overlay and component of k8s/
	$(BIN)/pytest tests/unit/test_compose.py tests/unit/test_manifests.py tests/unit/test_k8s_*.py

train: $(VENV)/.dev ## Trains the shipped models again; WEIGHTS=file.npz instead of the hub
	$(BIN)/python -m stripwatch_train defaults $(if $(WEIGHTS),--weights '$(WEIGHTS)')

paper: $(VENV)/.dev ## The study: the paper's five rows and what lies past them; writes docs/paper.md, resumes
	$(BIN)/python -m stripwatch_train study $(if $(WEIGHTS),--weights '$(WEIGHTS)')

paper-recipe: $(VENV)/.dev ## The paper's classifier over five seeds; WEIGHTS=file.npz instead of the hub
	$(BIN)/python -m stripwatch_train paper $(if $(WEIGHTS),--weights '$(WEIGHTS)')

bench: bench-models bench-pipeline bench-serving bench-latency bench-speed bench-startup bench-growth bench-acceptance docs ## All benchmarks of docs/performance.md, an hour alone on the machine; WEIGHTS=file.npz

bench-acceptance: $(VENV)/.dev ## Acceptance strips through the running pipeline with the shipped models
	$(BIN)/python benchmarks/acceptance.py

bench-pipeline: $(VENV)/.dev ## The pipeline beside a bare loop and a plain torch loop; WEIGHTS=file.npz, OUT=file
	$(BIN)/python benchmarks/pipeline.py $(if $(WEIGHTS),--weights '$(WEIGHTS)') $(if $(OUT),--out '$(OUT)')

bench-quick: $(VENV)/.dev ## Does every suite still work, and did the pipeline's efficiency fall by a fifth; under 5 minutes
	$(BIN)/python benchmarks/pipeline.py --rounds 3 --seconds 4 --profiles accurate --no-torch --guard accurate
	$(BIN)/python benchmarks/latency.py --quick --profiles fast --out var/bench-quick/latency.json
	$(BIN)/python benchmarks/line_speed.py --quick --profiles coarse --out var/bench-quick/line_speed.json
	$(BIN)/python benchmarks/startup.py --quick --out var/bench-quick/startup.json
	$(BIN)/python benchmarks/serving.py --quick --out var/bench-quick/serving.json
	$(BIN)/python benchmarks/growth.py --quick --out var/bench-quick/growth.json

bench-models: $(VENV)/.dev ## The paper's MobileNetV2 in int8 and its scorer, for the benchmarks; WEIGHTS=file.npz instead of the hub
	$(BIN)/python benchmarks/mobilenet.py $(if $(WEIGHTS),--weights '$(WEIGHTS)')

soak: $(VENV)/.dev ## One very long run of small frames: what grows, what a frame costs; FRAMES (a million), OUT=file
	$(BIN)/python benchmarks/soak.py --frames $(or $(FRAMES),1000000) $(if $(OUT),--out '$(OUT)')

bench-latency: $(VENV)/.dev ## How late results and verdicts come, by load, beside the bare time of a frame; SIZE=--quick, OUT=file
	$(BIN)/python benchmarks/latency.py $(SIZE) $(if $(OUT),--out '$(OUT)')

bench-speed: $(VENV)/.dev ## The line speed that holds without loss, and what breaks above it; SIZE=--quick, OUT=file
	$(BIN)/python benchmarks/line_speed.py $(SIZE) $(if $(OUT),--out '$(OUT)')

bench-growth: $(VENV)/.dev ## What grows with frames, cameras, strips, workers and defects; SIZE='--quick' or '--long 1000000', OUT=file
	$(BIN)/python benchmarks/growth.py $(SIZE) $(if $(OUT),--out '$(OUT)')

bench-startup: $(VENV)/.dev ## How long services take to be ready, and their memory; SIZE=--quick, OUT=file
	$(BIN)/python benchmarks/startup.py $(SIZE) $(if $(OUT),--out '$(OUT)')

CONTAINERS = PYTHONPATH=tests $(BIN)/python -m containers

images: $(VENV)/.dev ## Every image without a registry of images, in podman's storage of the test bed; as root on Debian 12
	$(CONTAINERS) system
	$(CONTAINERS) build

sbom: images ## A bill of material (CycloneDX) of each image; OUT=folder (var/sbom)
	$(CONTAINERS) sbom --out '$(or $(OUT),var/sbom)'

# Whatever happens on the way, nothing of it stays: containers, volumes, namespaces, the engine, the images.
e2e-containers: system $(VENV)/.dev ## Images, the compose file and each Deployment on a real engine, as root; 20 minutes
	@trap '$(CONTAINERS) clean' EXIT; trap 'exit 130' INT TERM; set -e; \
	for step in system build third-party; do $(CONTAINERS) $$step; done; \
	$(BIN)/pytest -s -v tests/containers tests/unit/test_manifests.py tests/unit/test_k8s_*.py

overload: $(VENV)/.dev ## A line offered 0.5 to 5 times what it can judge: latency, shed frames, recovery; OUT=file
	$(BIN)/python benchmarks/overload.py $(if $(OUT),--out '$(OUT)')

durability: $(VENV)/.dev ## What a killed Redis loses, by appendfsync, with and without the power; KILLS (10), OUT=file
	$(BIN)/python benchmarks/durability.py --kills $(or $(KILLS),10) $(if $(OUT),--out '$(OUT)')

chaos: $(VENV)/.dev ## Seeded faults on the whole pipeline: SEED, RUNS, REDIS (7, 8, sentinel, cluster), OUT; resumes
	PYTHONPATH=tests:tests/contract $(BIN)/python -m chaos --seed $(or $(SEED),1) --runs $(or $(RUNS),1) \
	  --redis $(or $(REDIS),8) $(if $(OUT),--out '$(OUT)')

# In an environment of its own: what pip-audit needs is none of what is audited.
$(VENV)/audit/bin/pip-audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1

audit: $(VENV)/.dev $(VENV)/audit/bin/pip-audit ## Known holes in what we install; says so loudly where nobody could be asked
	$(BIN)/pip check
	$(BIN)/python .ci/audit.py $(VENV)/audit/bin/pip-audit constraints.txt

fuzz: $(VENV)/.dev ## Whatever comes from outside under a fuzzer led by coverage: SECONDS for all targets, SEED, OUT=file
	PYTHONPATH=tests:tests/contract $(BIN)/python -m fuzz --seconds $(or $(SECONDS),80) --seed $(or $(SEED),1) \
	  $(if $(OUT),--out '$(OUT)')

mutate: $(VENV)/.dev ## Is a changed line of the core noticed by a test; SAMPLE=40 mutants of each module only
	$(BIN)/python benchmarks/mutation.py $(if $(SAMPLE),--sample $(SAMPLE))

failover: $(VENV)/.dev ## What a fail-over behind Sentinels loses; writes benchmarks/results
	$(BIN)/python benchmarks/failover.py

bench-serving: $(VENV)/.dev ## Our service beside five model servers, each in its own environment; MODELS='A/1 B/2', SECONDS, OUT
	$(BIN)/python benchmarks/serving.py --seconds $(or $(SECONDS),3) $(addprefix --model-folder ,$(MODELS)) \
	  $(if $(OUT),--out '$(OUT)')

# Of it only the compiled Kubernetes stays, in $TMPDIR/stripwatch-cluster: 12 minutes for who runs it again.
e2e-cluster: system $(VENV)/.dev ## The dev overlay on a real, if old, Kubernetes node built from source, as root; 40 minutes
	@trap '$(CONTAINERS) clean' EXIT; trap 'exit 130' INT TERM; $(BIN)/pytest tests/cluster

bench-remote: $(VENV)/.dev ## The remote engine, its model run by MLServer, beside the local one; SIZE=--quick, OUT=file
	$(BIN)/python benchmarks/remote.py $(SIZE) $(if $(OUT),--out '$(OUT)')

docs: $(VENV)/.dev ## Writes the pages that are made from code
	$(BIN)/python docs/generate_settings.py
	$(BIN)/python docs/generate_rules.py
	$(BIN)/python docs/generate_figures.py
	$(BIN)/python docs/generate_performance.py

lock: $(VENV)/.dev ## Writes constraints.txt from what is installed
	$(BIN)/pip list --format=freeze --exclude-editable | sed 's/+cpu$$//' | grep -vE '^(pip|setuptools|wheel|stripwatch)==' > constraints.txt

# Only what is missing, and only where apt can be used.
system: ## Debian packages the full tests use: Redis 7.0 beside the embedded 8.2, strace, kubectl, docker-compose, openssl, promtool
	@missing=""; \
	for pair in redis-server:redis-server strace:strace kubectl:kubernetes-client docker-compose:docker-compose openssl:openssl \
	  promtool:prometheus; do \
	  command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	if [ -n "$$missing" ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; fi

clean: ## Removes caches and what the demo wrote
	rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

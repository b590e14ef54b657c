# One command each for the demo and for the tests; `make` alone lists all of them.
#
# Variables: PYTHON=python3.12  the interpreter of the environment, 3.11 to 3.13
#            LOCK=tpu           install envs/tpu.txt (with torch_xla) in place of envs/main.txt;
#                               torch-tpu: envs/torch-tpu.txt, Python 3.12 and later;
#                               submit: envs/submit.txt, for a machine that only starts jobs
#            CORES=4            processor cores for the demo (default: what its profile says) and
#                               the miniature (default: 16, or 2 with CPU=1)
#            CPU=1              with `make miniature`: the variant for processors, in a night
#            TARGET=table7 PLAN='--device h100 --devices 8'  of `make plan`; --help lists them
#            BENCH='--cases demo'  options of `make bench-…`; --help lists them
#            UPGRADE=1          with `make lock`: take newer versions of what is not pinned

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env demo miniature plan test bench-train bench-attack bench-data bench-data-env lint \
	format lock clean-demo clean-env

BIN := $(CURDIR)/.venv/bin
# The environment's programs come first, also for what these programs start.
RUN := PATH="$(BIN):$$PATH"
PYTEST := $(RUN) OMP_NUM_THREADS=1 python -m pytest
export PYTHON LOCK
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

help:  ## list the commands
	@echo "make COMMAND, where COMMAND is one of:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

env:  ## make or refresh the environment .venv from the hashed locks
	@scripts/bootstrap_env.sh

demo: env  ## run the whole pipeline on real images; ends with results/demo/report.pdf
	@scripts/unlock_after_crash.sh
	@# The longest chain of jobs first; part of the report anyway, so it adds nothing to the run.
	@$(RUN) snakemake --profile demo $(if $(CORES),--cores $(CORES)) \
		--prioritize results/demo/eval/demo_cifar10/autoattack.json -- report
	@echo "The report: $(CURDIR)/results/demo/report.pdf"

miniature: env  ## run the paper's claims in small on one GPU; CPU=1: on two cores, in a night
	@scripts/unlock_after_crash.sh
	@$(RUN) snakemake --profile demo --cores $(or $(CORES),$(if $(CPU),2,16)) \
		--configfile configs/miniature.yaml $(if $(CPU),configs/miniature_cpu.yaml) -- report
	@echo "The report: $(CURDIR)/results/miniature$(if $(CPU),_cpu)/report.pdf"

plan: env  ## say what a run costs before it starts: time, disk, money, CO2
	@$(RUN) python scripts/plan_run.py $(TARGET) $(PLAN)

test: env lint  ## lint, then run every test
	@echo "== pytest: unit, command line, workflow"
	@$(PYTEST) -n 2 --dist worksteal --timeout 600 -m "not end_to_end" tests
	@echo "== pytest: end to end"
	@$(PYTEST) -n 2 --dist loadfile --timeout 1800 -m end_to_end tests

bench-train: env  ## time training steps beside the released code's, about eight minutes
	@$(RUN) OMP_NUM_THREADS=1 python scripts/bench_training.py $(BENCH)

bench-attack: env  ## time AutoAttack's engines beside pyautoattack, on the demo's CIFAR-10 model
	@$(RUN) OMP_NUM_THREADS=1 python scripts/bench_autoattack.py $(BENCH)

bench-data: env  ## time reading of images beside torchvision's and, after bench-data-env, others'
	@$(RUN) OMP_NUM_THREADS=1 python scripts/bench_data.py $(BENCH)

bench-data-env: env  ## install tensorflow, grain and webdataset into .venv-bench-data for bench-data
	@uv=$$(scripts/bootstrap_env.sh uv) && \
		"$$uv" venv --quiet --clear --python $(BIN)/python .venv-bench-data && \
		"$$uv" pip sync --quiet --require-hashes --python .venv-bench-data/bin/python envs/bench-data.txt

lint: env  ## check style and format: ruff, snakefmt, snakemake --lint
	@echo "== ruff check" && $(BIN)/ruff check .
	@echo "== ruff format" && $(BIN)/ruff format --check .
	@echo "== snakefmt" && $(RUN) snakefmt --check Snakefile rules
	@echo "== snakemake --lint" && $(RUN) snakemake --lint

format: env  ## put all files into the common format
	@$(BIN)/ruff check --fix --exit-zero . && $(BIN)/ruff format . && $(RUN) snakefmt Snakefile rules

lock:  ## compute the hashed locks envs/*.txt anew from envs/*.in
	@envs/compile_locks.sh $(if $(UPGRADE),--upgrade)

clean-demo:  ## remove what the demo made, keep fetched archives
	rm -rf results/demo

clean-env:  ## remove the environment and the tools
	rm -rf .venv .venv-bench-data .tools

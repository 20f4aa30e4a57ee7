# gahb: from a bare clone to denoisers, spectra and figures. `make help` lists the targets.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

bin := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin
in_venv := PATH="$(bin):$$PATH"
pip_install := "$(bin)/python" -m pip install --constraint constraints.txt
source :=
validator := roc-validator

ifdef WHEELS # a folder of packages for a machine without a network, which has torch and others itself
venv_options := --system-site-packages
# the packages of PYTHON itself, which is in an environment of its own on many clusters
see_machine = "$(bin)/python" -c 'import sys, sysconfig; open(sysconfig.get_path("purelib") + "/machine.pth", "w").write(sys.argv[1])' \
    "$$("$(PYTHON)" -c 'import site; print(*(f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()), sep="\n")')"
source := --no-index --find-links "$(WHEELS)"
pip_install := "$(bin)/python" -m pip install $(source) --upgrade --upgrade-strategy only-if-needed
validator := $(wildcard $(WHEELS)/roc_validator-*.whl)
endif

unexport PYTHONPATH # it would shadow the pinned packages

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all smoke gpu figures provenance verify track test lint docs lock wheel setup clean help

all: setup ## (default) set up, then compute every result: snakemake --cores all
	$(in_venv) snakemake --cores all

smoke: setup ## set up, then run every rule on a tiny preset (results/smoke)
	$(in_venv) snakemake --cores all --config preset=smoke
	$(in_venv) snakemake provenance --cores all --config preset=smoke

gpu: setup ## set up, then compute the preset gpu (results/gpu); without a network: make gpu WHEELS=folder
	$(in_venv) snakemake --cores all --config preset=gpu

figures: setup ## redraw every figure, and results/README.md, from what git holds: no datasets, no weights
	$(in_venv) snakemake figures --allowed-rules figure figures claims results_page --forcerun figure

provenance: all ## after everything: data cards, model cards and ro-crate-metadata.json
	$(in_venv) snakemake provenance

verify: setup ## check every result against params.yaml, its record and dvc.lock
	$(in_venv) gahb verify

track: setup ## after a plain snakemake run: let DVC take stock (dvc.lock, cache), without running anything
	$(in_venv) dvc commit --force

test: $(VENV)/.installed-test ## set up, then run the tests; more pytest options: make test ARGS='-k spectra'
	$(in_venv) OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/.installed-dev ## style, types, and the workflow's own linter
	$(in_venv) ruff check .
	$(in_venv) ruff format --check .
	$(in_venv) mypy
	$(in_venv) lint-imports
	$(in_venv) snakefmt --check Snakefile workflow
	$(in_venv) snakemake --lint

docs: $(VENV)/.installed-docs ## the site of docs/ and of the API's docstrings, into build/docs
	$(in_venv) mkdocs build --strict

lock: $(VENV)/.installed-dev ## write constraints.txt anew from pyproject.toml; newer versions: make lock ARGS=--upgrade
	printf 'pip\nsetuptools\n' | $(in_venv) uv pip compile pyproject.toml - --all-extras --quiet --no-annotate \
	    --python-version 3.11.5 --python-platform x86_64-manylinux_2_28 --custom-compile-command 'make lock' \
	    --output-file constraints.txt $(ARGS)

wheel: $(VENV)/.installed ## the library as a wheel, into build/
	"$(bin)/python" -m pip wheel $(source) --constraint constraints.txt --build-constraint constraints.txt --no-deps --wheel-dir build .

setup: $(VENV)/.installed ## create .venv from constraints.txt; again only if the pins or pyproject.toml change

# Stamp files: written last, so that an interrupted installation starts anew. One is written first, and tells
# our own environment, which is brought up to date, from a folder of somebody else's, which is left alone.
$(VENV)/.installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gahb needs Python >= 3.11, but $(PYTHON) is Python %d.%d. Name another one: make PYTHON=python3.11" % sys.version_info[:2])'
	@test -e "$(VENV)/.gahb" || test -e "$@" || test -z "$$(ls -A "$(VENV)" 2>/dev/null)" || \
	    { echo "$(VENV) is not empty, and make did not make it. Name another folder: make VENV=..." >&2; exit 1; }
	@mkdir -p "$(VENV)" && touch "$(VENV)/.gahb"
	"$(PYTHON)" -m venv $(venv_options) "$(VENV)"
	$(see_machine)
	$(pip_install) pip
	$(pip_install) --build-constraint constraints.txt --editable '.[workflow]'
	@touch "$@"

$(VENV)/.installed-test: $(VENV)/.installed tests/workflow/roc-validator.txt
	$(pip_install) --build-constraint constraints.txt --editable '.[workflow,slurm,test]'
ifneq ($(validator),) # a folder of packages may lack it: the test says so
	"$(bin)/python" -m venv "$(VENV)/roc-validator"
	"$(VENV)/roc-validator/bin/python" -m pip install $(source) --requirement tests/workflow/roc-validator.txt
endif
	@touch "$@"

$(VENV)/.installed-dev: $(VENV)/.installed
	$(pip_install) --build-constraint constraints.txt --editable '.[workflow,test,dev]'
	@touch "$@"

$(VENV)/.installed-docs: $(VENV)/.installed
	$(pip_install) --build-constraint constraints.txt --editable '.[workflow,docs]'
	@touch "$@"

clean: ## remove .venv and caches; never results
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build src/gahb.egg-info
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

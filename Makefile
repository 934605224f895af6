# `make demo` and `make test` each work alone on a fresh machine with Python 3.11 or newer and its venv (python3-venv).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := bridge protocol manifests
TEST_ARGS ?= -n 2
SOAK_ARGS ?= --seconds 120
FUZZ_ARGS ?= --seconds 600

.PHONY: help demo test test-browser test-soak test-roots test-deb test-systemd test-all check structure setup soak fuzz bench bench-quick tagged dist deb clean

help:  ## this text
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q -e . --group dev
	touch $@

# Byte code is compiled here, since PYTHONDONTWRITEBYTECODE would make every start compile the sources anew.
setup: $(VENV)/stamp  ## the virtual environment .venv, with all that the tests need
	@$(BIN)/python -m compileall -q $(SOURCES)

demo: setup  ## the bridge with an example helper, one readable conversation
	@$(BIN)/python examples/demo.py

check: setup  ## ruff, mypy --strict, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests bench examples deb
	$(BIN)/lint-imports --no-logo --no-cache

structure: setup  ## floors, arrows, circles, and the largest files
	@$(BIN)/python -m tests.structure

# Minutes each, or in need of much: they have targets of their own.
SLOW := tests/browser tests/deb tests/soak/test_soak.py tests/systemd

test: check  ## the checks, then the tests, in some minutes
	$(BIN)/python -m pytest $(TEST_ARGS) $(addprefix --ignore ,$(SLOW))

test-browser: setup  ## the tests with cockpit-ws and Chromium
	$(BIN)/python -m pytest $(TEST_ARGS) tests/browser

test-soak: setup  ## some seconds of chaos, as a test
	$(BIN)/python -m pytest tests/soak

test-roots:  ## `make demo` and `make test` on minimal Debian 12 and 13; needs root and debootstrap
	tests/roots/run

test-deb: deb  ## the Debian package, installed on minimal Debian 12 and 13, and logins to it; needs root and debootstrap
	$(BIN)/python -m pytest $(TEST_ARGS) tests/deb
	tests/roots/deb dist/spanbridge_*_$$(dpkg --print-architecture).deb

test-systemd: deb  ## the Debian package on a machine whose process 1 is systemd; needs root, debootstrap and Chromium
	TEST_ARGS= tests/systemd/run dist/spanbridge_*_$$(dpkg --print-architecture).deb || [ $$? = 77 ]

test-all: test test-browser test-soak test-roots test-deb test-systemd  ## all of these

soak: setup  ## two minutes of chaos, every byte accounted for; SOAK_ARGS='--seed 7' plays one again
	$(BIN)/python -m tests.soak $(SOAK_ARGS)

fuzz: setup  ## ten minutes of fuzzing, guided by coverage; FUZZ_ARGS='--seconds 60 --keep' for less
	$(BIN)/python -m pip install -q -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

bench: setup  ## every benchmark, against other bridges and a plain relay; tables, JSON and plots in bench/results
	$(BIN)/python -m bench
	$(BIN)/python -m bench.served

bench-quick: setup  ## the same tables in a few minutes
	$(BIN)/python -m bench --quick
	$(BIN)/python -m bench.served --quick

# Where a tag of this commit says another version than the code, nothing is built.
tagged: setup
	@$(BIN)/python -m pytest -q -k tag tests/installed/test_distributions.py

# twine has much behind it: it gets an environment of its own.
dist: tagged  ## the wheel and the source distribution, in dist; twine finds them in order
	rm -f dist/spanbridge-*
	$(BIN)/python -m hatchling build -t sdist -t wheel -d dist
	$(PYTHON) -m venv build/twine
	build/twine/bin/python -m pip install -q twine==7.0.0
	build/twine/bin/twine check --strict dist/spanbridge-*

deb: tagged  ## the package for Debian 12 and 13, in dist; DEB_ARGS='--architecture arm64' for arm64
	rm -f dist/spanbridge_*
	@$(BIN)/python deb/build.py $(DEB_ARGS)

clean:  ## remove what make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis bench/build
	find . -name __pycache__ -prune -exec rm -rf {} +

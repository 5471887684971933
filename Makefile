# Everything runs in a private virtual environment, .venv, that the targets make and keep up to date by themselves.
#   make demo     see a tunnel work, outage and recovery included; needs nothing but Python
#   make test     the whole suite, against the installed wheel, on all cores (ARGS="-k name" is handed to pytest; -n 0: one)
#   make check    format, lint, types, layers; a warning for files of more than 400 lines
#   make build    the wheel, in dist/
#   make man      the manual page, from the commands
#   make docs-settings  docs/settings.md, from the tables of options and numbers
#   make pictures the README's pictures, from the real program (as root, with tmux and the servers of .ci/servers)
#   make bench    side by side with others, in bench/results: bench-probes, health and probe beside OpenClaw's own (needs
#                 a real gateway: CONTRIBUTING.md); bench-outages, faults beside ssh and autossh; bench-reconnects (as root);
#                 bench-commands, how long each takes; bench-datapath, waits and rates beside ssh and autossh (as root)
# PYTHON=python3.12 make test uses another interpreter.

PYTHON ?= python3
VENV := .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# Folders count too: theirs is the only date that changes when a file goes away.
SOURCES := pyproject.toml README.md man/openclaw-tunnel.1 $(shell find openclaw_tunnel -name __pycache__ -prune -o \( -name '*.py' -o -path '*/plugin/*' -o -type d \) -print)
# Two interpreters may have one name: the stamp holds the path as well.
MADE := $(VENV)/.made-with-$(subst /,_,$(PYTHON))

.PHONY: demo test check build man docs-settings pictures bench bench-probes bench-outages bench-reconnects bench-commands bench-datapath test-lowest test-newest clean
.DELETE_ON_ERROR:

demo: $(VENV)/.run
	@$(BIN)/openclaw-tunnel demo $(ARGS)

# The installed pytest script, not `python -m pytest`: that would put the checkout before the installed package.
test: $(VENV)/.dev
	@OPENCLAW_TUNNEL_TEST_INSTALLED=1 $(BIN)/pytest -n auto --dist loadfile $(ARGS)

LONG := 400

check: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pytest --quiet tests/test_layers.py
	@find openclaw_tunnel -name '*.py' -exec wc -l {} + | \
	  awk '$$2 != "total" && $$1 > $(LONG) { print "warning: " $$2 " has " $$1 " lines: is it one idea?" }' >&2

build: $(VENV)/.run
	@rm -rf dist
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

# From the checkout, not from what is installed: that holds the page of before.
man: $(VENV)/.dev
	@PYTHONPATH=. $(BIN)/python man/write.py > man/openclaw-tunnel.1.new
	@mv man/openclaw-tunnel.1.new man/openclaw-tunnel.1

docs-settings: $(VENV)/.dev
	@PYTHONPATH=. $(BIN)/python docs/settings_reference.py > docs/settings.md.new
	@mv docs/settings.md.new docs/settings.md

pictures: $(VENV)/.dev
	@$(BIN)/python pictures/states.py
	@$(BIN)/python pictures/session.py

bench: bench-probes bench-outages bench-reconnects bench-commands bench-datapath

bench-probes: $(VENV)/.bench
	@$(BIN)/python bench/probes.py

bench-outages: $(VENV)/.bench
	@$(BIN)/python bench/outages.py $(ARGS)

bench-reconnects: $(VENV)/.bench
	@$(BIN)/python bench/reconnects.py

bench-commands: $(VENV)/.bench
	@$(BIN)/python bench/commands.py

bench-datapath: $(VENV)/.bench
	@$(BIN)/python bench/datapath.py $(ARGS)

# The oldest versions that pyproject.toml allows, in an environment of their own.
test-lowest: $(MADE)
	@rm -rf $(VENV)/lowest && $(PYTHON) -m venv $(VENV)/lowest
	@$(PYTHON) .ci/lowest.py pyproject.toml > $(VENV)/lowest.txt
	@$(VENV)/lowest/bin/python -m pip -qq --disable-pip-version-check install hatchling -c constraints.txt
	@$(VENV)/lowest/bin/python -m pip -qq --disable-pip-version-check install --no-build-isolation '.[dev]' -c $(VENV)/lowest.txt
	@OPENCLAW_TUNNEL_TEST_INSTALLED=1 $(VENV)/lowest/bin/pytest -n auto --dist loadfile --ignore tests/real $(ARGS)

# The newest asyncssh that there is: its inside is what ssh/asyncssh_seams.py relies on.
test-newest: $(VENV)/.dev
	@rm -rf $(VENV)/newest
	@$(PIP) install --upgrade --target $(VENV)/newest 'asyncssh<3'
	@PYTHONPATH=$(VENV)/newest $(BIN)/python -c 'import asyncssh; print("asyncssh", asyncssh.__version__)'
	@PYTHONPATH=$(VENV)/newest OPENCLAW_TUNNEL_TEST_INSTALLED=1 $(BIN)/pytest tests/ssh/test_asyncssh_seams.py \
	  tests/ssh/test_link.py tests/ssh/datapath/test_real_bytes.py $(ARGS)

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find openclaw_tunnel tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.run: $(MADE) constraints.txt $(SOURCES)
	@$(PIP) install -c constraints.txt --no-build-isolation .
	@touch $@

$(VENV)/.dev: $(MADE) constraints.txt $(SOURCES)
	@$(PIP) install -c constraints.txt --no-build-isolation '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@$(PIP) install -c constraints.txt --no-build-isolation '.[bench]'
	@touch $@

$(MADE): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "openclaw-tunnel needs Python 3.11 or newer, and '$(PYTHON)' is not: name another one, as in 'make $(MAKECMDGOALS) PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: install its venv module (Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt hatchling
	@touch $@

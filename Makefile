# What a newcomer types. `make run` and `make test` need Python 3.11 or later, make and git; the rest they get.
# ARGS="..." is handed on: make run ARGS=--demo, make test ARGS="-k door", make bench ARGS=--quick.

VENV := .venv
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PINS := pyproject.toml constraints.txt

.PHONY: help install run test lint texts bench clean

help:
	@echo "make run      install into $(VENV) and start the gateway (ARGS=--demo: with simulated modules)"
	@echo "make install  only install: $(VENV)/bin/passerelle and the browser libraries"
	@echo "make test     install what the tests need, Debian packages too, and run them all"
	@echo "make lint     ruff and mypy"
	@echo "make texts    bring web/locales up to date and list what is not translated"
	@echo "make bench    measure against peers (ARGS=--quick: a short run)"
	@echo "make clean    remove everything that was installed or built here; data/ stays"

install: $(VENV)/installed $(VENV)/browser-libraries

run: install
	@exec $(VENV)/bin/passerelle run $(ARGS)

test: install $(VENV)/installed-test tests/protocols/node_modules/installed tests/story/node_modules/installed
	@.ci/debian-packages.sh
	@$(VENV)/bin/python tests/device/micropython.py > $(VENV)/micropython-command
	@# Most tests wait for processes and sockets, so three at a time suit two cores; a file stays together.
	$(VENV)/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/installed-lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

texts: $(VENV)/installed-test
	@$(VENV)/bin/python -m tests.languages

bench: install $(VENV)/installed-test bench/peer/node_modules/installed
	$(VENV)/bin/python -m bench.run $(ARGS)

clean:
	rm -rf $(VENV) node_modules bench/peer/node_modules tests/protocols/node_modules tests/story/node_modules web/static/vendor build *.egg-info
	rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each stamp lies inside what it stands for, so that removing the thing removes the stamp.
$(VENV)/installed: $(PINS) .ci/venv.sh
	@.ci/venv.sh $(VENV)
	@echo "Installing the Python libraries"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/installed-%: $(VENV)/installed
	@echo "Installing what $* needs"
	@$(PIP_INSTALL) -e '.[$*]'
	@touch $@

$(VENV)/browser-libraries: package.json package-lock.json .ci/browser-libraries.sh $(VENV)/installed
	@echo "Getting the browser libraries"
	@.ci/browser-libraries.sh
	@touch $@

bench/peer/node_modules/installed: bench/peer/package.json bench/peer/package-lock.json $(VENV)/installed
	@echo "Getting the peers of the benchmark"
	@.ci/npm.sh --prefix bench/peer ci --silent
	@touch $@

tests/protocols/node_modules/installed: tests/protocols/package.json tests/protocols/package-lock.json $(VENV)/installed
	@echo "Getting the official schema of AsyncAPI documents"
	@.ci/npm.sh --prefix tests/protocols ci --silent
	@touch $@

tests/story/node_modules/installed: tests/story/package.json tests/story/package-lock.json $(VENV)/installed
	@echo "Getting what finds barriers on pages"
	@.ci/npm.sh --prefix tests/story ci --silent
	@touch $@

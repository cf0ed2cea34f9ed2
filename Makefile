# make demo    the whole story on real machines, from nothing
# make test    every test: on this host, and on real LVM inside User-Mode Linux
# make check   style, types, the floors
# make bench   how fast it is, beside others
# make guest   the guest image, build/guest/guest.img
# make docs    the documentation as a site, build/site
#
# Each sets up what it needs: Debian packages (root or sudo), Python packages in .venv. What is there is left alone.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON3 ?= $(firstword $(wildcard /usr/bin/python3.11) python3)
PYTHON := $(CURDIR)/.venv/bin/python
IMAGE := build/guest/guest.img
# What the lane on real LVM runs. The rest does not touch a volume store, or runs on both kinds of file store on the host.
LVM_LANE := tests/backend/test_stores.py tests/backend/test_lvm.py tests/backend/test_killed.py \
  tests/crash/test_real_machines.py tests/stories/test_boot_from_volume.py tests/stories/test_modify_volume.py \
  tests/conformance/test_suite.py::test_nothing_differs
ROOM := tests/lane/lvm.sh -s -t 2400

.PHONY: help demo test test-host test-lvm check bench guest docs lifecycle coverage conformance schema packages uml clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' $(MAKEFILE_LIST)

packages:
	@install/debian.sh

uml: packages
	@install/user-mode-linux.sh build/uml

.venv/ready: setup.py | packages
	@test -x $(PYTHON) || { echo "Python packages: making .venv with $(PYTHON3)"; $(PYTHON3) -m venv .venv; }
	@echo "Python packages: installing those of setup.py into .venv"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[libvirt,postgres,test,lint]'
	@touch $@

$(IMAGE): guest/build.py $(shell find guest/root -type f 2>/dev/null) | packages
	@mkdir -p $(@D)
	@python3 guest/build.py $@ --cache build/guest

guest: $(IMAGE)

demo: .venv/ready $(IMAGE)
	@$(PYTHON) -m demo --image $(IMAGE)

# Both lanes at once: the one in User-Mode Linux has one processor. What it says is shown when the other is done.
test: .venv/ready $(IMAGE) uml
	@echo "The tests on real LVM run beside those on this host; what they say so far: build/lvm.log"
	@$(MAKE) --no-print-directory test-lvm > build/lvm.log 2>&1 & \
	  $(MAKE) --no-print-directory test-host; host=$$?; \
	  wait $$!; lvm=$$?; cat build/lvm.log; \
	  [ $$host = 0 ] && [ $$lvm = 0 ]

test-lvm: .venv/ready $(IMAGE) uml
	PYTHON=$(PYTHON) $(ROOM) -- $(PYTHON) -m pytest -p no:cacheprovider $(LVM_LANE)

# Two files at a time: much of what they do is wait for guests. The tests of a file share what was served for it.
test-host: .venv/ready $(IMAGE)
	$(PYTHON) -m pytest --numprocesses 2 --dist loadfile

check: .venv/ready
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

bench: .venv/ready $(IMAGE)
	@$(PYTHON) -m bench

lifecycle: .venv/ready
	@$(PYTHON) -m tools.lifecycle

coverage: .venv/ready
	@$(PYTHON) -m tools.coverage

conformance: .venv/ready $(IMAGE) uml
	@$(PYTHON) -m tools.conformance

schema: .venv/ready
	@$(PYTHON) -m tools.first_schema

docs: .venv/ready
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@.venv/bin/mkdocs build --strict

clean:
	rm -rf .venv build

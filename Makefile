# Kiviat: `make profile` and `make test` set up what is missing by themselves.
#
#   make profile              profile the built-in benchmarks and a command, write a report     OUT=DIR SHORT=1 COMMAND="…"
#   make test                 all tests                                                         FILTER=NAME
#   make build                the programs, optimized, in .build/release
#   make install              into PREFIX (/usr/local)                                          PREFIX=DIR DESTDIR=DIR
#   make bench                our own hot paths, measured (Benchmarks/)
#   make format | make lint   put the sources into shape | say where they are not
#   make setup                the packages that building takes
#   make clean
#
# LIBTORCH=DIR builds against another libtorch than the system's, LIBTORCH=none without one.

SHELL := /bin/bash
SWIFT ?= swift
CONFIG ?= release
OUT ?= profiles
PREFIX ?= /usr/local
BIN = .build/$(CONFIG)

export SWIFT SHORT COMMAND
ifneq ($(origin LIBTORCH), undefined)
export LIBTORCH
endif

# As Package.swift looks for it.
HAS_TORCH = [[ "$$LIBTORCH" != none ]] && [[ -n "$$LIBTORCH" || -e /usr/include/ATen/record_function.h ]]

.DEFAULT_GOAL := help
.PHONY: help setup build profile test format lint bench install clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

setup:
	@Scripts/setup

build: setup
	$(SWIFT) build -c $(CONFIG) --product kiviat
	@if $(HAS_TORCH); then set -x; $(SWIFT) build -c $(CONFIG) --product kiviat-workload; fi

profile: build
	@Scripts/profile "$(BIN)" "$(OUT)"

test: setup
	$(SWIFT) test $(if $(FILTER),--filter "$(FILTER)")

format:
	$(SWIFT) format -i -p -r Package.swift Sources Tests $(wildcard Benchmarks)

lint:
	$(SWIFT) format lint --strict -p -r Package.swift Sources Tests $(wildcard Benchmarks)

bench: build
	@for benchmark in Benchmarks/*.sh; do echo "== $$benchmark"; "$$benchmark" "$(BIN)" || exit 1; done

install: build
	install -D "$(BIN)/kiviat" "$(DESTDIR)$(PREFIX)/bin/kiviat"
	@if [[ -x "$(BIN)/kiviat-workload" ]]; then set -x; install -D "$(BIN)/kiviat-workload" "$(DESTDIR)$(PREFIX)/bin/kiviat-workload"; fi

clean:
	$(SWIFT) package clean

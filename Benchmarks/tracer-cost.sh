#!/bin/sh
# What does tracing cost an operation (at most 350 ns), and does memory stay constant over ten million?
set -e
cd "$(dirname "$0")/.."
make -s build
exec .build/release/kiviat-workload tracer-cost "$@"

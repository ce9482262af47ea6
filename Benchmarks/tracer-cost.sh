#!/bin/sh
# What does tracing cost an operation (at most 350 ns), and does memory stay constant over ten million?
set -e
cd "$(dirname "$0")/.."
swift build -c release --product kiviat-workload
exec .build/release/kiviat-workload tracer-cost "$@"

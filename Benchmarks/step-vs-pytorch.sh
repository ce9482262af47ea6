#!/bin/sh
# Is a training step of a small model at least as fast as Python PyTorch's, with the same threads, batch and shapes?
# Usage: step-vs-pytorch.sh MODEL [THREADS] [PYTHON]   (PYTHON needs torch: pip install torch)
#   MODEL: resnet, transformer, deepspeech2, ncf, or any other in pytorch_step.py; without one, all.
# Runs them in turn three times, because a machine's speed drifts. BUILD names another build than .build/release.
set -e
cd "$(dirname "$0")/.."
threads=${2:-2}
python=${3:-python3}
[ -n "$BUILD" ] || make -s build
build=${BUILD:-.build/release}
for model in ${1:-$("$python" Benchmarks/pytorch_step.py --list)}; do
  benchmark=$("$python" Benchmarks/pytorch_step.py --benchmark "$model")
  echo "$model ($benchmark), $threads threads"
  for round in 1 2 3; do
    "$build/kiviat-workload" run "$benchmark" --epochs 1 --threads "$threads" | grep -o 'median step.*' |
      sed 's/^/kiviat:  /'
    "$python" Benchmarks/pytorch_step.py "$model" "$threads"
  done
done

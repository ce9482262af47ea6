#!/bin/sh
# Is a training step of the small ResNet at least as fast as Python PyTorch's, with the same threads, batch and shapes?
# Usage: resnet-vs-pytorch.sh [THREADS] [PYTHON]   (PYTHON needs torch: pip install torch)
# Runs them in turn three times, because a machine's speed drifts.
set -e
cd "$(dirname "$0")/.."
threads=${1:-2}
python=${2:-python3}
make -s build
for round in 1 2 3; do
  .build/release/kiviat-workload run image-classification --epochs 1 --threads "$threads" | grep -o 'median step.*' |
    sed 's/^/kiviat:  /'
  "$python" Benchmarks/resnet_step.py "$threads"
done

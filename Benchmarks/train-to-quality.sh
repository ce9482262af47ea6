#!/bin/sh
# How many epochs and seconds does each benchmark need to its target quality, seed by seed?
#
#   Benchmarks/train-to-quality.sh [SEEDS [BENCHMARK…]]       # 5 seeds, all four at small scale
#
# Prints a line a run: benchmark, stage, seed, epochs, seconds of training (evaluation not included), quality. Runs one after
# another with one thread, so that neighbours on the machine change the seconds as little as they can.
set -eu
cd "$(dirname "$0")/.."
make -s build 1>&2
seeds=${1:-5}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- image-classification recommendation spatial-transformer learning-to-rank
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf 'benchmark\tstage\tseed\tepochs\tseconds\tquality\n'
for benchmark in "$@"; do
  for seed in $(seq "$seeds"); do
    .build/release/kiviat-workload run "$benchmark" --seed "$seed" --threads 1 >"$log"
    # Lines of the form "[STAGE ]epoch N done in S s  mean loss L  METRIC Q  R samples/s …".
    awk -v benchmark="$benchmark" -v seed="$seed" '
      / done in / {
        stage = $1 == "epoch" ? "-" : $1
        for (i = 1; i <= NF; i++) {
          if ($i == "in") seconds[stage] += $(i + 1)
          if ($i == "samples/s") quality[stage] = $(i - 2)
        }
        epochs[stage]++
        if (!(stage in known)) { known[stage] = 1; order[++count] = stage }
      }
      END {
        for (i = 1; i <= count; i++) {
          stage = order[i]
          printf "%s\t%s\t%d\t%d\t%.1f\t%s\n", benchmark, stage, seed, epochs[stage], seconds[stage], quality[stage]
        }
      }' "$log"
  done
done

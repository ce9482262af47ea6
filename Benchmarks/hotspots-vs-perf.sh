#!/bin/sh
# Do the ten hottest functions agree with perf's? Profiles one program by `kiviat profile` and by `perf record`, both with
# cpu-clock at 999 Hz, and compares each function's share of the samples: they must differ by less than four standard
# errors of a difference of two sampled shares. The program's own split is known as well (weights 20, 16, 13 ... 1).
#
# Usage: Benchmarks/hotspots-vs-perf.sh [PATH/TO/kiviat]      needs cc, perf and python3
set -eu
kiviat=${1:-.build/release/kiviat}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

{
  echo 'volatile double sink;'
  for weight in 20 16 13 11 9 8 7 6 4 3 2 1; do
    echo "__attribute__((noinline)) void work_$weight(void) { double x = $weight;"
    echo "  for (long i = 0; i < ${weight}000; i++) x = x * 1.0000001 + 1e-9; sink = x; }"
  done
  echo 'int main(void) { for (int round = 0; round < 12000; round++) {'
  for weight in 20 16 13 11 9 8 7 6 4 3 2 1; do echo "work_$weight();"; done
  echo '} return 0; }'
} > "$folder/hot.c"
cc -O1 -o "$folder/hot" "$folder/hot.c"

"$kiviat" profile -q -F 999 --counters off -o "$folder/hot.kiviat" -- "$folder/hot"
perf record -q -F 999 -e cpu-clock -o "$folder/perf.data" -- "$folder/hot" 2> "$folder/perf.log"
perf script -i "$folder/perf.data" -F ip,sym > "$folder/perf.txt" 2>> "$folder/perf.log"

python3 - "$folder" <<'EOF'
import collections, math, sqlite3, sys
folder = sys.argv[1]
database = sqlite3.connect(folder + "/hot.kiviat")
kiviat = collections.Counter(dict(database.execute(
    "SELECT f.function, sum(s.samples) FROM sample s JOIN stack t ON t.id = s.stack JOIN frame f ON f.id = t.frame "
    "GROUP BY f.function")))
perf = collections.Counter(line.split(None, 1)[1].strip() for line in open(folder + "/perf.txt") if line.strip())
k, p = sum(kiviat.values()), sum(perf.values())
weights = [20, 16, 13, 11, 9, 8, 7, 6, 4, 3, 2, 1]
print(f"{k} samples by kiviat, {p} by perf")
print(f"{'function':10} {'known':>8} {'perf':>8} {'kiviat':>8}   difference in standard errors")
bad = 0
for name, _ in perf.most_common(10):
    a, b = kiviat[name] / k, perf[name] / p
    error = math.sqrt(max(a * (1 - a) / k + b * (1 - b) / p, 1e-12))
    known = int(name.split("_")[1]) / sum(weights) if name.startswith("work_") else float("nan")
    bad += abs(a - b) > 4 * error
    print(f"{name:10} {known:8.2%} {b:8.2%} {a:8.2%}   {(a - b) / error:+.1f}")
top = [name for name, _ in kiviat.most_common(10)]
print("ten hottest are the same:", set(top) == {name for name, _ in perf.most_common(10)})
sys.exit(1 if bad else 0)
EOF

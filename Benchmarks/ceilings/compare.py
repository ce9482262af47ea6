#!/usr/bin/env python3
"""Are Kiviat's measured ceilings those that a plain C program reaches? Usage: compare.py KIVIAT [ROUNDS]

Both sides run in turns, so that what else the machine does hits both; prints every round and the median ratios. A triad
with plain stores moves four arrays (a store reads its line first), one with stores past the caches three. Both sides count
what is moved and take the better of the two.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

kiviat = sys.argv[1] if len(sys.argv) > 1 else ".build/release/kiviat"
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
here = os.path.dirname(os.path.abspath(__file__))
compiler = os.environ.get("CC", "cc")

with tempfile.TemporaryDirectory() as folder:
    program = os.path.join(folder, "ceilings")
    subprocess.run(
        [compiler, "-O3", "-march=native", "-ffast-math", "-fopenmp", f"{here}/ceilings.c", "-o", program], check=True)
    environment = {**os.environ, "XDG_CACHE_HOME": folder}
    ratios = {}
    for index in range(rounds):
        ours = {}
        output = subprocess.run(
            [kiviat, "doctor", "--ceilings", "--json"], check=True, capture_output=True, text=True, env=environment).stdout
        for quantity in json.loads(output):
            if "value" in quantity["value"]:
                ours[quantity["name"]] = quantity["value"]["value"]
        theirs = dict(
            line.split() for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines())
        theirs = {name: float(value) for name, value in theirs.items()}
        pairs = {
            "FP32 peak": (ours.get("ceiling.flops.f32"), theirs["flops.f32"]),
            "FP64 peak": (ours.get("ceiling.flops.f64"), theirs["flops.f64"]),
            "triad": (ours.get("ceiling.bandwidth.dram"), max(theirs["triad.3"] * 4 / 3, theirs.get("triad.streaming", 0))),
        }
        for name, (our, their) in pairs.items():
            if our is None:
                print(f"{index + 1}  {name:10} not measured: other work took the CPUs")
                continue
            ratios.setdefault(name, []).append(our / their)
            print(f"{index + 1}  {name:10} Kiviat {our / 1e9:8.1f}   C {their / 1e9:8.1f}   ratio {our / their:.3f}")
    print(f"median of {rounds} rounds")
    for name, values in ratios.items():
        print(f"{name:10} Kiviat ÷ C = {statistics.median(values):.3f}   ({min(values):.3f} … {max(values):.3f})")

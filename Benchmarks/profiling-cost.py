#!/usr/bin/env python3
"""What does profiling cost, and are samples lost?

    make bench     or, after make build-benchmarks: python3 Benchmarks/profiling-cost.py [BUILD_FOLDER]

1. `kiviat profile -q -- true` with its file written, over plain `true` (and `perf record true`, where perf is).
2. A fixed computation on two threads, alone and profiled at 999 and 4000 Hz: processor time and wall time over the
   unprofiled run, samples taken and lost.

Runs alternate, so that a change in the machine's load hits all alike; minimum and median are printed. The processor
time of the target is the steadier of the two figures: other load on the machine lengthens the wall time only.
"""

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

folder = sys.argv[1] if len(sys.argv) > 1 else ".build/release"
kiviat = os.path.join(folder, "kiviat")
victim = os.path.join(folder, "TestVictim")
scratch = tempfile.mkdtemp(prefix="kiviat-cost-")
profile = os.path.join(scratch, "cost.kiviat")
perf = shutil.which("perf")


def run(command):
    """Wall time and the processor time of the command and what it waited for, seconds."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime


def milliseconds(values):
    return f"min {min(values) * 1e3:7.1f} ms  median {statistics.median(values) * 1e3:7.1f} ms"


print("1. A command that does nothing")
starts = {
    "true": ["true"],
    "kiviat profile -- true": [kiviat, "profile", "-q", "-o", profile, "--", "true"],
}
if perf:
    starts["perf record true"] = [perf, "record", "-q", "-g", "-o", os.path.join(scratch, "perf.data"), "true"]
walls = {name: [] for name in starts}
for _ in range(15):
    for name, command in starts.items():
        walls[name].append(run(command)[0])
for name, values in walls.items():
    print(f"   {name:24} {milliseconds(values)}")
print(f"   kiviat adds              {(min(walls['kiviat profile -- true']) - min(walls['true'])) * 1e3:7.1f} ms (minimum)")

print("2. Two threads that compute")
work = [victim, "work", "2", "100000"]
kinds = {"alone": None, "not sampled": 0, "999 Hz": 999, "4000 Hz": 4000}
results = {name: [] for name in kinds}
for _ in range(7):
    for name, frequency in kinds.items():
        if frequency is None:
            wall, cpu = run(work)
            results[name].append((wall, cpu, 0, 0))
            continue
        run([kiviat, "profile", "-q", "-F", str(frequency), "-o", profile, "--"] + work)
        with sqlite3.connect(profile) as db:
            values = dict(db.execute("SELECT name, value FROM quantity WHERE repetition = 0"))
            wall = db.execute("SELECT wall_ns FROM repetition").fetchone()[0] / 1e9
        cpu = (values["cpu.user"] + values["cpu.system"]) / 1e9
        results[name].append((wall, cpu, values.get("samples.taken") or 0, values.get("samples.lost") or 0))
base_wall = min(wall for wall, *_ in results["alone"])
base_cpu = min(cpu for _, cpu, *_ in results["alone"])
for name, rows in results.items():
    wall = min(row[0] for row in rows)
    cpu = min(row[1] for row in rows)
    taken, lost = rows[-1][2], sum(row[3] for row in rows)
    print(
        f"   {name:12} wall {wall:6.3f} s ({100 * (wall / base_wall - 1):+5.2f} %)"
        f"  processor {cpu:6.3f} s ({100 * (cpu / base_cpu - 1):+5.2f} %)"
        f"  samples {taken:8.0f}  lost in all runs {lost:.0f}"
    )
shutil.rmtree(scratch)

#!/usr/bin/env python3
"""Does an emulated processor's counting come out as its program is known to run? check.py LOG, the guest's console.

Two instructions a round of the loop, and QEMU's processor takes a cycle for each.
"""
import re
import sys

findings = {}
for line in open(sys.argv[1], errors="replace"):
    match = re.search(r"pmu: (\w+)(.*)", line)
    if match:
        pairs = dict(pair.split("=") for pair in match.group(2).split() if "=" in pair)
        findings.setdefault(match.group(1), []).append({key: int(value) for key, value in pairs.items()})

failures = 0


def check(holds, what):
    global failures
    failures += not holds
    print(("ok      " if holds else "FAILED  ") + what)


def loops(test, what):
    rows = [row for row in findings.get(test, []) if "rounds" in row]
    check(len(rows) == 5 and not any("failed" in row for row in findings.get(test, [])), f"{what}: five loops were read")
    if not rows:
        return
    beyond = {row[event] - 2 * row["rounds"] for row in rows for event in ("cycles", "instructions")}
    check(len(beyond) == 1 and 0 <= min(beyond) < 1000,
          f"{what}: cycles and instructions are 2 N + {', '.join(map(str, sorted(beyond)))} for N = 10^3 … 10^7")
    check(all(row["enabled"] == row["running"] > 0 for row in rows), f"{what}: the counters ran all the time")


check("end" in findings, "the guest came to its end")
loops("group", "group, read")
loops("inheriting", "inheriting group, read")
loops("user", "group, read in user mode")
page = findings.get("page", [{}])[0]
check(page.get("read") == 1, "an instruction counter is read without a system call")
check(0 < page.get("between", 0) < 500 and 0 < page.get("until_read", 0) < 1000,
      f"user mode reads what read() does: {page.get('between')} instructions from one to the next, "
      f"{page.get('until_read')} until read()")
# QEMU's clock is one nanosecond an instruction; a system call lies between.
check(page.get("enabled") == page.get("running") and 0 <= page.get("enabled_read", 0) - page.get("enabled", 0) < 1e6,
      f"its times, too: {page.get('enabled')} ns, {page.get('enabled_read')} ns by read()")

children = findings.get("inherit", [])
check(len(children) == 2, "two children were counted")
if len(children) == 2:
    difference = children[1]["instructions"] - children[0]["instructions"]
    check(abs(difference - 2_000_000) <= 1000, f"a million rounds more in a child are {difference} instructions more")

rows = findings.get("multiplexed", [])
check(len(rows) == 12 and all(row["bytes"] == 24 for row in rows), "twelve events opened on six counters")
if rows:
    shares = [row["running"] / row["enabled"] for row in rows]
    check(max(shares) < 0.9 and min(shares) > 0.2, f"each ran {min(shares):.1%} to {max(shares):.1%} of the time")
    # Enabling twelve events, one after the other, is a part of what each counts, and stays below 0.01 %.
    errors = [row["instructions"] * row["enabled"] / row["running"] / (2 * row["rounds"]) - 1 for row in rows]
    check(max(map(abs, errors)) < 0.002, f"scaled up they are {min(errors):+.3%} to {max(errors):+.3%} off")

rows = findings.get("launch", [])
check(len(rows) == 3 and all(row["released"] == 1 and row["bytes"] == 24 for row in rows),
      "three programs were launched suspended and counted from their exec on")
if len(rows) == 3:
    beyond = {row["instructions"] - 2 * row["rounds"] for row in rows}
    check(max(beyond) - min(beyond) <= 100 and 0 < min(beyond) < 100_000,
          f"they are 2 N + {min(beyond)} to {max(beyond)} instructions, start-up and exit included")

print(f"{failures} failed" if failures else "all as it must be")
sys.exit(1 if failures else 0)

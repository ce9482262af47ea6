#!/usr/bin/env python3
"""Checks a log against the grammar of MLPerf's mllog: python3 Tests/Reference/check-mllog.py FILE

Written from mlperf_logging 0.7 to 1.0 (mllog.py: fields and event types; compliance_checker/*/common.yaml: which keys
there are, in which order and with which metadata), apart from the code that writes our logs. Rules for submissions
(organisation, division, caches, which hyper-parameters a division fixes) are not checked: a log states them, not a run.
"""
import json
import sys

FIELDS = ["namespace", "time_ms", "event_type", "key", "value", "metadata"]
TYPES = {"INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"}
EXACTLY_ONE = ["submission_benchmark", "init_start", "init_stop", "run_start", "run_stop", "seed", "global_batch_size"]
WITH_EPOCH = {"epoch_start", "epoch_stop", "eval_start", "eval_stop", "eval_accuracy"}


def parse(number, line):
    """The event of a line, its form checked."""
    def need(condition, what):
        if not condition:
            sys.exit(f"line {number}: {what}: {line}")

    need(line.startswith(":::MLLOG "), "does not begin with ':::MLLOG '")
    try:
        event = json.loads(line[len(":::MLLOG "):])
    except ValueError as error:
        sys.exit(f"line {number}: no JSON ({error}): {line}")
    need(isinstance(event, dict) and list(event) == FIELDS, f"its fields are not {FIELDS}")
    need(isinstance(event["namespace"], str), "the namespace is no text")
    need(type(event["time_ms"]) is int and event["time_ms"] > 0, "time_ms is no whole number")
    need(event["event_type"] in TYPES, "unknown event type")
    need(isinstance(event["key"], str) and event["key"], "it has no key")
    metadata = event["metadata"]
    need(isinstance(metadata, dict), "the metadata are no object")
    need(isinstance(metadata.get("file"), str) and type(metadata.get("lineno")) is int, "no file and lineno")
    key = event["key"]
    kind = "INTERVAL_START" if key.endswith("_start") else "INTERVAL_END" if key.endswith("_stop") else "POINT_IN_TIME"
    need(event["event_type"] == kind, f"{key} should be {kind}")
    if key in WITH_EPOCH:
        need(type(metadata.get("epoch_num")) is int, f"{key} has no epoch_num")
    if key == "run_stop":
        need(metadata.get("status") in ("success", "aborted"), "run_stop has no status")
    return event


def main(path):
    with open(path, encoding="latin-1") as file:
        events = [parse(number, line.rstrip("\n")) for number, line in enumerate(file, 1)]
    keys = [event["key"] for event in events]
    for key in EXACTLY_ONE:
        if keys.count(key) != 1:
            sys.exit(f"{key} is there {keys.count(key)} times, not once")
    order = [keys.index(key) for key in ("init_start", "init_stop", "run_start", "run_stop")]
    if order != sorted(order):
        sys.exit("init_start, init_stop, run_start, run_stop are not in this order")
    times = [event["time_ms"] for event in events]
    if times != sorted(times):
        sys.exit("times go back")
    # "This interval must be ended before a new interval with the same key and namespace can be started."
    running = {}
    for number, event in enumerate(events, 1):
        name, _, edge = event["key"].rpartition("_")
        epoch = event["metadata"].get("epoch_num")
        if edge == "start":
            if name in running:
                sys.exit(f"line {number}: {name} begins again before it ended")
            running[name] = epoch
        elif edge == "stop":
            if name not in running or running.pop(name) != epoch:
                sys.exit(f"line {number}: {name} ends and did not begin")
        elif event["key"] == "eval_accuracy" and running.get("eval", ()) != epoch:
            sys.exit(f"line {number}: eval_accuracy outside of its evaluation")
    if running:
        sys.exit(f"never ended: {', '.join(running)}")
    print(f"{len(events)} lines, {keys.count('eval_accuracy')} evaluations: well formed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

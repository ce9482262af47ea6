#!/usr/bin/env python3
"""What do the benchmarks cost, and what do they reach? Runs them and writes the tables of docs/benchmarks.md.

  make build && Benchmarks/benchmark-table.py small [--seeds 3] [--only NAME,…] [--jobs 2]   train to quality at small scale
  Benchmarks/benchmark-table.py paper [--only NAME,…]                                       one step, one query at paper scale
  Benchmarks/benchmark-table.py write                                                       the tables, from what ran so far

Every run is one line in Benchmarks/results/SCALE.jsonl, with the machine that it ran on; a later run of the same benchmark
and seed replaces it. `write` puts the tables between the marks in docs/benchmarks.md. One thread a run, so that runs of one
seed are bit-identical; `user` seconds are CPU time, which neighbours on the machine change little.
"""
import argparse, concurrent.futures, json, os, platform, re, resource, statistics, subprocess, sys, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.environ.get("KIVIAT_WORKLOAD", os.path.join(ROOT, ".build/release/kiviat-workload"))
RESULTS = os.path.join(ROOT, "Benchmarks/results")
lock = threading.Lock()


def benchmarks(only):
    known = json.loads(subprocess.run([TOOL, "list", "--json"], check=True, capture_output=True).stdout)
    if only:
        wanted = set(only.split(","))
        missing = wanted - {b["name"] for b in known} - {b["id"] for b in known}
        if missing:
            sys.exit(f"no such benchmark: {', '.join(sorted(missing))}")
        known = [b for b in known if b["name"] in wanted or b["id"] in wanted]
    return known


def machine():
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} hardware threads"


def run(arguments):
    """Runs the tool; gives its lines, its exit status, CPU seconds, and its peak resident memory in bytes."""
    start = time.monotonic()
    process = subprocess.Popen([TOOL, "run"] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    errors = []
    drain = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    drain.start()
    output = process.stdout.read()
    drain.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "output": output, "errors": errors[0][-2000:], "status": process.returncode, "wall": time.monotonic() - start,
        "user": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024,
    }


def quantities(output):
    return {m[1]: float(m[2]) for m in re.finditer(r"^([\w.]+) = (\S+) ", output, re.M)}


def record(scale, key, entry):
    with lock:
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, scale + ".jsonl")
        lines = []
        if os.path.exists(path):
            lines = [l for l in open(path).read().splitlines() if json.loads(l)["key"] != key]
        lines.append(json.dumps({"key": key, **entry}, sort_keys=True))
        with open(path + ".new", "w") as file:
            file.write("\n".join(sorted(lines)) + "\n")
        os.replace(path + ".new", path)


def train(benchmark, seed):
    result = run([benchmark["name"], "--seed", str(seed), "--threads", "1"])
    output = result["output"]
    final = re.search(r"^target (reached|not reached): (.*?) (\S+) after (\d+) epochs", output, re.M)
    values = quantities(output)
    entry = {
        "id": benchmark["id"], "name": benchmark["name"], "seed": seed, "status": result["status"],
        "reached": bool(final and final[1] == "reached"), "metric": final[2] if final else None,
        "quality": float(final[3]) if final else None, "epochs": int(final[4]) if final else None,
        "wall_seconds": round(result["wall"], 2), "cpu_seconds": round(result["user"], 2), "peak_bytes": result["peak"],
        "parameters": values.get("model.parameters"), "forward_flops": values.get("model.forward_flops_per_sample"),
        "machine": machine(),
    }
    if result["status"]:
        entry["error"] = result["errors"]
    record("small", f"{benchmark['id']} {seed}", entry)
    print(
        f"{benchmark['name']} seed {seed}: {'reached' if entry['reached'] else 'NOT REACHED'} "
        f"{entry['quality']} in {entry['epochs']} epochs, {entry['cpu_seconds']} CPU-s, status {result['status']}", flush=True)
    return entry


def paper(benchmark, batch):
    entry = {"id": benchmark["id"], "name": benchmark["name"], "machine": machine()}
    for mode in ("train", "infer"):
        result = run([benchmark["name"], "--scale", "paper", "--mode", mode, "--steps", "1", "--batch", str(batch), "--threads", str(os.cpu_count())])
        values = quantities(result["output"])
        entry[mode] = {
            "status": result["status"], "peak_bytes": result["peak"], "wall_seconds": round(result["wall"], 2), "batch": batch,
            "parameters": values.get("model.parameters"), "forward_flops": values.get("model.forward_flops_per_sample"),
            "training_flops": values.get("model.training_flops_per_sample"),
        }
        if result["status"]:
            entry[mode]["error"] = result["errors"]
        print(f"{benchmark['name']} {mode}: status {result['status']}, {result['peak'] / 2**30:.1f} GiB, {result['wall']:.0f} s", flush=True)
    record("paper", benchmark["id"], entry)


def grouped(number):
    return "–" if number is None else f"{int(number):,}".replace(",", " ")


def scaled(number):
    if number is None:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number:.4g}"


def load(scale):
    path = os.path.join(RESULTS, scale + ".jsonl")
    return [json.loads(l) for l in open(path)] if os.path.exists(path) else []


def natural(identifier):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", identifier)]


def write():
    facts = {b["id"]: b for b in benchmarks(None)}
    small, big = load("small"), {e["id"]: e for e in load("paper")}
    lines = [
        "| id | target | seeds | epochs | quality at the end | CPU seconds (median) | parameters | forward FLOPs a sample |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for identifier in sorted({e["id"] for e in small}, key=natural):
        runs = sorted((e for e in small if e["id"] == identifier), key=lambda e: e["seed"])
        target = facts[identifier]["small"]["target"]
        sign = "≥" if target["isHigherBetter"] else "≤"
        lines.append("| " + " | ".join([
            f"{identifier} `{facts[identifier]['name']}`", f"{target['metric']} {sign} {target['value']:g}",
            ", ".join(str(e["seed"]) for e in runs),
            ", ".join((str(e["epochs"]) if e["reached"] else f"> {e['epochs']}") for e in runs),
            ", ".join("–" if e["quality"] is None else f"{e['quality']:.4g}" for e in runs),
            f"{statistics.median(e['cpu_seconds'] for e in runs):.1f}",
            grouped(runs[0]["parameters"]), scaled(runs[0]["forward_flops"]),
        ]) + " |")
    machines = sorted({e["machine"] for e in small})
    lines += ["", "Machine: " + "; ".join(machines) + ". One thread a run; the seconds include data, evaluation and start."]
    replace("measured at small scale", lines)

    lines = [
        "| id | parameters | published | forward FLOPs a sample | published | in the step that ran | source and differences | peak memory: step, query |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for identifier in sorted(big, key=natural):
        entry, published = big[identifier], facts[identifier].get("published") or {}
        step, query = entry["train"], entry["infer"]
        lines.append("| " + " | ".join([
            f"{identifier} `{entry['name']}`", grouped(step["parameters"]), grouped(published.get("parameters")),
            scaled(facts[identifier]["paper"].get("forwardFLOPs") or step["forward_flops"]), scaled(published.get("forwardFLOPs")),
            scaled(step["forward_flops"]),
            (published.get("source", "–") + (". " + published["difference"] if published.get("difference") else "")).replace("|", "\\|"),
            f"{step['peak_bytes'] / 2**30:.1f}, {query['peak_bytes'] / 2**30:.1f} GiB (batch {step['batch']})",
        ]) + " |")
    machines = sorted({e["machine"] for e in big.values()})
    lines += [
        "", "The step that ran counts all its forward passes (both players of an adversarial step, three photographs of a triplet), over the "
        "lengths and image sizes of its own samples.", "", "Machine: " + "; ".join(machines) + "."]
    replace("measured at paper scale", lines)


def replace(name, lines):
    path = os.path.join(ROOT, "docs/benchmarks.md")
    text = open(path).read()
    begin, end = f"<!-- {name} -->", f"<!-- end: {name} -->"
    if begin not in text:
        sys.exit(f"{path} has no mark {begin}")
    head, rest = text.split(begin, 1)
    _, tail = rest.split(end, 1)
    with open(path, "w") as file:
        file.write(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["small", "paper", "write"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    if options.what == "small":
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            jobs = [pool.submit(train, b, s) for b in benchmarks(options.only) for s in range(1, options.seeds + 1)]
            entries = [j.result() for j in jobs]
        sys.exit(0 if all(e["reached"] for e in entries) else 1)
    elif options.what == "paper":
        for benchmark in benchmarks(options.only):
            paper(benchmark, options.batch)
    else:
        write()

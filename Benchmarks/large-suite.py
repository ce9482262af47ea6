#!/usr/bin/env python3
"""How long does the report of a suite with ten million kernel rows take, and how much memory?

    Benchmarks/large-suite.py SUITE_DIR KIVIAT [ROWS]

Copies a folder of profiles (kiviat profile SUITE -o SUITE_DIR), multiplies the kernel rows of each profile, as if every module
came in many variants, until the folder holds ROWS of them, and reports it three times. Prints wall time, CPU time and peak
memory of each, beside those of the folder as it was.
"""
import os, resource, shutil, sqlite3, subprocess, sys, tempfile, time

COLUMNS = ("name, category, phase, module_path, thread, shapes, types, calls, total_ns, self_ns, cpu_ns, cpu_source, "
           "cpu_detail, flops, flops_source, flops_detail, bytes, bytes_source, bytes_detail")


def multiply(path, wanted):
    """Rows of table kernel, times as many as it takes; returns how many there are."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = MEMORY")
    database.execute("PRAGMA synchronous = OFF")
    have = database.execute("SELECT COUNT(*) FROM kernel").fetchone()[0]
    if have == 0:
        return 0
    shifted = COLUMNS.replace("module_path", "module_path || '.variant' || ?")
    copies = max(0, round(wanted / have) - 1)
    step = database.execute("SELECT MAX(id) + 1 FROM kernel").fetchone()[0]
    database.execute("CREATE TEMP TABLE original AS SELECT * FROM kernel")
    database.execute("BEGIN")
    for copy in range(1, copies + 1):
        database.execute(
            f"INSERT INTO kernel SELECT repetition, id + ?, {shifted} FROM original ORDER BY repetition, id",
            (copy * step, copy))
    database.execute("COMMIT")
    return database.execute("SELECT COUNT(*) FROM kernel").fetchone()[0]


def report(kiviat, folder):
    """Wall seconds, CPU seconds and peak MiB of a report as JSON."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    process = subprocess.Popen([kiviat, "report", folder, "--format", "json", "-o", "/dev/null"], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"kiviat report ended with status {status}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    source, kiviat, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/tmp")) as folder:
        target = os.path.join(folder, "suite")
        shutil.copytree(source, target)
        profiles = sorted(name for name in os.listdir(target) if name.endswith(".kiviat"))
        for _ in range(3):
            print("as it was:  %5.2f s wall, %5.2f s CPU, %4.0f MiB" % report(kiviat, target))
        total = 0
        for index, name in enumerate(profiles):
            total += multiply(os.path.join(target, name), (rows - total) / (len(profiles) - index))
        size = sum(os.path.getsize(os.path.join(target, name)) for name in profiles)
        print(f"{total} kernel rows in {len(profiles)} profiles, {size / 1e9:.2f} GB")
        for _ in range(3):
            print("large:      %5.2f s wall, %5.2f s CPU, %4.0f MiB" % report(kiviat, target))


if __name__ == "__main__":
    main()

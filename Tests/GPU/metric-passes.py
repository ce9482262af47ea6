#!/usr/bin/env python3
"""On which chips do the metrics of gpu-metrics.tsv exist, and in how many passes are they collected?

Asks the Host API of CUPTI 12.9 or 13.0, which needs neither a GPU nor a driver: the wheel is enough.

  pip download nvidia-cuda-cupti-cu12==12.9.79 --no-deps && unzip -d wheel nvidia_cuda_cupti_cu12-*.whl
  Tests/GPU/metric-passes.py wheel            writes Tests/GPU/metric-passes.tsv
  Tests/GPU/metric-passes.py wheel --check    exit status 1 when the table says otherwise

Exit status 77: no CUPTI that could be asked (a test is skipped then).
"""
import argparse
import ctypes
import fnmatch
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
METRICS = HERE.parent.parent / "Sources/ProfileModel/Resources/gpu-metrics.tsv"
TABLE = HERE / "metric-passes.tsv"
# Volta to Blackwell, by compute capability 7.0, 7.5, 8.0, 8.6, 8.9, 9.0, 10.0, 12.0.
CHIPS = ["GV100", "TU102", "GA100", "GA102", "AD102", "GH100", "GB100", "GB202"]
SIZE = ctypes.c_size_t
POINTER = ctypes.c_void_p


class Parameters(ctypes.Structure):
    """CUPTI's parameters begin with the size of what is known of them; padding behind the last one does not count."""

    def __init__(self, **values):
        super().__init__(**values)
        name, kind = self._fields_[-1]
        self.structSize = getattr(type(self), name).offset + ctypes.sizeof(kind)


HEAD = [("structSize", SIZE), ("pPriv", POINTER)]


def parameters(*fields):
    return type("P", (Parameters,), {"_fields_": HEAD + list(fields)})


Initialize = parameters(("type", ctypes.c_int), ("chip", ctypes.c_char_p), ("available", POINTER), ("host", POINTER))
Deinitialize = parameters(("host", POINTER))
AddMetrics = parameters(("host", POINTER), ("names", ctypes.POINTER(ctypes.c_char_p)), ("count", SIZE))
ImageSize = parameters(("host", POINTER), ("size", SIZE))
Image = parameters(("host", POINTER), ("size", SIZE), ("image", POINTER))
Passes = parameters(("size", SIZE), ("image", POINTER), ("passes", SIZE))


class Host:
    def __init__(self, folder):
        host = sorted(pathlib.Path(folder).rglob("libnvperf_host.so"))
        libraries = sorted(host[0].parent.glob("libcupti.so.*")) if host else []
        if not libraries or not host:
            raise OSError(f"{folder} has no libcupti.so with its libnvperf_host.so")
        # CUPTI looks for it by name alone.
        ctypes.CDLL(str(host[0]), mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(libraries[0]))
        version = ctypes.c_uint32()
        self.library.cuptiGetVersion(ctypes.byref(version))
        self.version = version.value
        if not hasattr(self.library, "cuptiProfilerHostInitialize"):
            raise OSError(f"{libraries[0]} has no Host API: CUPTI of CUDA 12.6 or later has")

    def call(self, name, values):
        return getattr(self.library, name)(ctypes.byref(values))

    def passes(self, chip, metrics):
        """How many passes metrics take together; None when the chip lacks one of them."""
        start = Initialize(type=0, chip=chip.encode())
        result = self.call("cuptiProfilerHostInitialize", start)
        if result != 0:
            raise OSError(f"cuptiProfilerHostInitialize for {chip}: result {result}")
        try:
            names = (ctypes.c_char_p * len(metrics))(*[m.encode() for m in metrics])
            if self.call("cuptiProfilerHostConfigAddMetrics", AddMetrics(host=start.host, names=names, count=len(metrics))):
                return None
            size = ImageSize(host=start.host)
            if self.call("cuptiProfilerHostGetConfigImageSize", size):
                return None
            memory = (ctypes.c_uint8 * size.size)()
            image = Image(host=start.host, size=size.size, image=ctypes.addressof(memory))
            if self.call("cuptiProfilerHostGetConfigImage", image):
                return None
            passes = Passes(size=size.size, image=ctypes.addressof(memory))
            if self.call("cuptiProfilerHostGetNumOfPasses", passes):
                return None
            return passes.passes
        finally:
            self.call("cuptiProfilerHostDeinitialize", Deinitialize(host=start.host))


def rows():
    """The mapping's rows: alias, group, terms without weights, chips."""
    lines = [line for line in METRICS.read_text().splitlines() if line and not line.startswith("#")]
    for line in lines[1:]:
        alias, group, _, _, terms, chips, _ = line.split("\t")
        yield alias, group, [term.split()[-1] for term in terms.split(" + ")], chips


def of_chip(chip):
    """Each alias's terms on a chip, with its group."""
    chosen = {}
    for alias, group, terms, chips in rows():
        if alias not in chosen and fnmatch.fnmatchcase(chip, chips):
            chosen[alias] = (group, terms)
    return chosen


def table(host):
    """Metric or group, and for each chip the passes, `-` where it does not exist."""
    metrics = list(dict.fromkeys(term for _, _, terms, _ in rows() for term in terms))
    groups = list(dict.fromkeys(group for _, group, _, _ in rows()))
    lines = ["metric\t" + "\t".join(CHIPS)]
    for metric in metrics:
        lines.append("\t".join([metric] + [str(host.passes(chip, [metric]) or "-") for chip in CHIPS]))
    for group in groups:
        counts = []
        for chip in CHIPS:
            together = [term for g, terms in of_chip(chip).values() if g == group for term in terms]
            counts.append(str(host.passes(chip, list(dict.fromkeys(together))) or "-") if together else "0")
        lines.append("\t".join([f"group {group}"] + counts))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", help="a folder with the unpacked wheel (or a toolkit's CUPTI)")
    parser.add_argument("--check", action="store_true", help="compare with the table instead of writing it")
    arguments = parser.parse_args()
    try:
        host = Host(arguments.wheel)
        lines = table(host)
    except OSError as error:
        print(f"metric-passes: skipped: {error}", file=sys.stderr)
        return 77
    if not arguments.check:
        TABLE.write_text("\n".join(lines) + "\n")
        print(f"{len(lines) - 1} rows, CUPTI API version {host.version}: {TABLE}")
        return 0
    known = TABLE.read_text().splitlines()
    wrong = [line for line in lines if line not in known]
    for line in wrong:
        print(f"not in the table (CUPTI API version {host.version}): {line}", file=sys.stderr)
    if not wrong:
        print(f"{len(lines) - 1} rows as in the table, CUPTI API version {host.version}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Is Kiviat's map as good as scikit-learn's and openTSNE's, and how long do they take?

  pip install numpy scipy scikit-learn openTSNE
  swift build -c release --product MapSpeed
  python3 Benchmarks/tsne/compare.py [24] [1000] [20000] [--program .build/release/MapSpeed] [--threads 2] [--repeats 3]

The data are Gaussian groups (make_blobs), all three get the same, and the same perplexity: 30, or a third of the others
where that is less. Every map's divergence is computed here, from its points, by one formula: affinities calibrated to 1e-12,
between all pairs (24, 1000 members) or the 3 x perplexity nearest neighbours (20000); the normalisation is over all pairs
always. Times are wall times of a call in a process that is warm, medians of --repeats; openTSNE and ours alternate.

scikit-learn runs with method="exact" for 24 and 1000, and not for 20000. For 24 members both run from ten seeds, and the best
is taken: its time is that of one run.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
SHAPES = {24: (5, 4), 1000: (50, 10), 20000: (50, 20)}


def data(n):
    from sklearn.datasets import make_blobs

    columns, groups = SHAPES[n]
    x, _ = make_blobs(n, columns, centers=groups, cluster_std=2.0, center_box=(-5, 5), random_state=n)
    return (x - x.mean(0)) / x.std(0)


def calibrated(squared, perplexity):
    """Rows of probabilities with the entropy log(perplexity), by bisection."""
    import numpy as np

    d = squared - squared.min(1, keepdims=True)
    d = d / d.mean(1, keepdims=True)
    low, high = np.full(len(d), -20.0), np.full(len(d), 20.0)
    for _ in range(100):
        beta = np.exp((low + high) / 2)[:, None]
        p = np.exp(-beta * d)
        z = p.sum(1, keepdims=True)
        p /= z
        entropy = np.log(z[:, 0]) + beta[:, 0] * (p * d).sum(1)
        above = entropy > np.log(perplexity)
        low, high = np.where(above, (low + high) / 2, low), np.where(above, high, (low + high) / 2)
    return p


def affinities(x, perplexity):
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import NearestNeighbors

    n = len(x)
    k = n - 1 if n <= 1000 else int(3 * perplexity)
    distances, neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors()
    # Not by the norms' difference: to the last digits.
    squared = np.array([((x[i] - x[neighbours[i]]) ** 2).sum(1) for i in range(n)])
    p = calibrated(squared, perplexity)
    conditional = csr_matrix((p.ravel(), neighbours.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    return ((conditional + conditional.T) / (2 * n)).tocoo()


def divergence(p, y):
    import numpy as np

    y = np.asarray(y, dtype=np.float64)
    z = 0.0
    for start in range(0, len(y), 500):
        rows = y[start : start + 500]
        d = (rows[:, None, 0] - y[None, :, 0]) ** 2 + (rows[:, None, 1] - y[None, :, 1]) ** 2
        z += (1 / (1 + d)).sum() - len(rows)
    own = p.data > 0
    values, i, j = p.data[own], p.row[own], p.col[own]
    w = 1 / (1 + ((y[i] - y[j]) ** 2).sum(1))
    return float((values * np.log(values / w)).sum() + np.log(z))


def timed(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def ours(arguments, folder, n, columns, perplexity, repeats):
    import numpy as np

    points = os.path.join(folder, "points")
    output = subprocess.run(
        [arguments.program, os.path.join(folder, "data"), str(n), str(columns), points, repr(perplexity)]
        + [str(arguments.threads), str(repeats)],
        check=True, capture_output=True, text=True).stdout
    return json.loads(output), np.fromfile(points, dtype="<f8").reshape(n, 2)


def compare(n, arguments):
    import numpy as np
    from openTSNE import TSNE as OpenTSNE
    from sklearn.manifold import TSNE, trustworthiness

    x = data(n)
    perplexity = min(30, (n - 1) / 3)
    p = affinities(x, perplexity)
    print(f"{n} x {x.shape[1]}, perplexity {perplexity:.4g}", flush=True)

    def report(name, seconds, y, note=""):
        near = f", trustworthiness {trustworthiness(x, y, n_neighbors=5):.5f}" if n <= 1000 else ""
        print(f"  {name:<14} {statistics.median(seconds):8.3f} s   KL {divergence(p, y):.8f}{near}{note}", flush=True)

    def opentsne(seed):
        return np.asarray(OpenTSNE(perplexity=perplexity, n_jobs=arguments.threads, random_state=seed).fit(x))

    def scikit(seed, init):
        return TSNE(perplexity=perplexity, method="exact", init=init, random_state=seed).fit_transform(x)

    with tempfile.TemporaryDirectory() as folder:
        x.astype("<f8").tofile(os.path.join(folder, "data"))
        if n == 24:
            runs = [timed(lambda: scikit(seed, "random" if seed else "pca")) for seed in range(10)]
            best = min(runs, key=lambda run: divergence(p, run[1]))
            report("scikit-learn", [seconds for seconds, _ in runs], best[1], " (best of 10)")
            runs = [timed(lambda: opentsne(seed)) for seed in range(10)]
            best = min(runs, key=lambda run: divergence(p, run[1]))
            report("openTSNE", [seconds for seconds, _ in runs], best[1], " (best of 10)")
            outcome, y = ours(arguments, folder, n, x.shape[1], perplexity, max(9, arguments.repeats))
            seconds = outcome["seconds"]
        else:
            if n == 1000:
                elapsed, y = timed(lambda: scikit(1, "pca"))
                report("scikit-learn", [elapsed], y)
            others, seconds = [], []
            for repeat in range(arguments.repeats):
                elapsed, other = timed(lambda: opentsne(1))
                others.append(elapsed)
                outcome, y = ours(arguments, folder, n, x.shape[1], perplexity, 1)
                seconds += outcome["seconds"]
            report("openTSNE", others, other)
        report("Kiviat", seconds, y, f" (it says {outcome['klDivergence']:.8f}; {outcome['iterations']} iterations, "
               f"{outcome['restarts']} restarts, {min(seconds):.3f} ... {max(seconds):.3f} s)")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("members", nargs="*", type=int, default=[24, 1000], help="24, 1000 or 20000")
parser.add_argument("--program", default=".build/release/MapSpeed")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeats", type=int, default=3)
arguments = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
for members in arguments.members:
    compare(members, arguments)

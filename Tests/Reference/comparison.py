"""Reference values for Tests/AnalysisTests/RunComparisonTests.swift.  Needs numpy and scipy:  python3 comparison.py"""
import numpy as np
from scipy import special, stats

print("regularized incomplete beta I_x(a, b): x, a, b, value")
for x, a, b in [(0.5, 0.5, 0.5), (0.1, 2.0, 3.0), (0.9, 2.0, 3.0), (0.3, 0.5, 20.0), (0.999, 50.0, 0.5), (1e-8, 3.0, 0.5),
                (0.2, 500.0, 1500.0)]:
    print(f"  ({x!r}, {a!r}, {b!r}, {float(special.betainc(a, b, x))!r}),")

print("t distribution, cumulative: t, degrees of freedom, value")
for t, k in [(0.0, 3.0), (1.0, 1.0), (-2.5, 4.0), (2.5, 4.0), (-12.0, 7.3), (-40.0, 18.0), (0.01, 2.2), (3.1, 1e6), (1e-9, 5.0)]:
    print(f"  ({t!r}, {k!r}, {float(stats.t.cdf(t, k))!r}),")

print("t distribution, quantile: p, degrees of freedom, value")
for p, k in [(0.975, 1.0), (0.975, 4.7), (0.9975, 18.0), (0.025, 3.0), (0.6, 2.5), (0.999999, 3.2), (1e-12, 8.0), (0.995, 1e6),
             (0.5000001, 5.0)]:
    print(f"  ({p!r}, {k!r}, {float(stats.t.ppf(p, k))!r}),")

print("Welch's test: A, B, t, degrees of freedom, p, 95 % interval of mean B - mean A")
for a, b in [
    ([10.1, 9.9, 10.0, 10.2], [10.6, 10.4, 10.7]),
    ([1.0, 2.0], [1.5, 9.0]),
    ([5.0, 5.0, 5.0], [5.1, 5.3, 5.2, 5.25]),
    ([0.0, 0.0, 1.0, 3.0], [2.0, 2.0, 4.0, 4.0, 1.0]),
]:
    test = stats.ttest_ind(b, a, equal_var=False)
    ci = test.confidence_interval(0.95)
    print(f"  ({a}, {b}, {float(test.statistic)!r}, {float(test.df)!r}, {float(test.pvalue)!r}, "
          f"{float(ci.low)!r}, {float(ci.high)!r}),")

few, many = [1.0, 1.1, 1.05], [1.0 + i % 3 for i in range(20)]
test = stats.ttest_ind(many, few, equal_var=False)
print("few beside many: degrees of freedom, p; p with 1.5 degrees of freedom")
print(f"  {float(test.df)!r}, {float(test.pvalue)!r}, {float(2 * stats.t.sf(abs(test.statistic), 1.5))!r}")

print("the same on logarithms: ratio of geometric means, 95 % interval, p")
for a, b in [([100.0, 102.0, 99.0, 101.0, 98.5], [104.0, 103.0, 105.5, 102.5, 104.5])]:
    test = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    ci = test.confidence_interval(0.95)
    ratio = np.exp(np.mean(np.log(b)) - np.mean(np.log(a)))
    print(f"  ({a}, {b}, {float(ratio)!r}, {float(np.exp(ci.low))!r}, {float(np.exp(ci.high))!r}, {float(test.pvalue)!r}),")

print("rearrangement test of samples that don't overlap: n, m, two-sided p")
for n, m in [(2, 2), (5, 5), (6, 6), (3, 10)]:
    test = stats.permutation_test(([0.0] * n, [1.0] * m), lambda x, y: np.mean(y) - np.mean(x), n_resamples=np.inf)
    print(f"  ({n}, {m}, {float(test.pvalue)!r}),")

print("two proportions, pooled: a, b, n, m, p (normal approximation)")
for a, b, n, m in [(0.10, 0.12, 5000, 5000), (0.10, 0.12, 3000, 3000), (0.5, 0.5, 10, 10), (0.0, 0.01, 2000, 500)]:
    pooled = (a * n + b * m) / (n + m)
    z = (b - a) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    print(f"  ({a}, {b}, {n}, {m}, {float(2 * stats.norm.sf(abs(z)))!r}),")

"""Reference values for Tests/AnalysisTests/StatisticsTests.swift.  Needs numpy and scipy:  python3 statistics.py"""
import numpy as np
from scipy import optimize, special, stats

print("regularized lower incomplete gamma P(a, x)")
for a, x in [(0.5, 0.1), (0.5, 3.0), (2.0, 1.0), (4.5, 10.0), (50.0, 40.0), (50.0, 60.0), (1e-2, 1e-3)]:
    print(f"  ({a!r}, {x!r}, {float(special.gammainc(a, x))!r}),")

print("chi-squared quantile (p, k)")
for p, k in [(0.025, 1), (0.975, 1), (0.025, 3), (0.975, 3), (0.025, 4), (0.975, 4), (0.5, 9), (0.975, 99), (0.99, 2)]:
    print(f"  ({p!r}, {k!r}, {float(stats.chi2.ppf(p, k))!r}),")

print("Wilson interval (successes, n)")
for k, n in [(0, 10), (5, 10), (10, 10), (17, 390), (390, 530), (1, 1)]:
    ci = stats.binomtest(k, n).proportion_ci(method="wilson")
    print(f"  ({k}, {n}, {float(ci.low)!r}, {float(ci.high)!r}),")

print("quantile type 7 of 3, 1, 4, 1, 5, 9, 2, 6")
for p in (0, 0.1, 0.5, 0.9, 0.95, 0.99, 1):
    print(f"  ({p!r}, {float(np.quantile([3, 1, 4, 1, 5, 9, 2, 6], p))!r}),")

print("ranks (1-based; 0 or n + 1: none) that bound a quantile with 95 %: n, p, lower, upper")
for n, p in [(5, 0.5), (6, 0.5), (10, 0.5), (100, 0.5), (100, 0.9), (100, 0.99), (1000, 0.99), (10000, 0.95)]:
    lower = 0
    while stats.binom.cdf(lower, n, p) <= 0.025:  # P(B <= l - 1) with l = lower + 1
        lower += 1
    upper = n + 1
    while upper - 1 >= 1 and stats.binom.sf(upper - 2, n, p) <= 0.025:  # P(B >= u) with u = upper - 1
        upper -= 1
    print(f"  ({n}, {p}, {lower}, {upper}),")

print("coefficient of variation: n, cv, exact interval from the non-central t distribution")
for n, cv in [(4, 0.019), (5, 0.1), (10, 0.1), (10, 0.3), (30, 0.2)]:
    # sqrt(n) / CV is non-central t with n - 1 degrees of freedom and non-centrality sqrt(n) / kappa.
    t = np.sqrt(n) / cv
    bounds = []
    for tail in (0.975, 0.025):
        f = lambda kappa: stats.nct.cdf(t, n - 1, np.sqrt(n) / kappa) - tail
        grid = np.geomspace(cv / 5, cv * 10, 400)
        values = [f(k) for k in grid]
        i = next(i for i in range(399) if np.isfinite(values[i]) and np.isfinite(values[i + 1]) and values[i] * values[i + 1] <= 0)
        bounds.append(optimize.brentq(f, grid[i], grid[i + 1]))
    print(f"  ({n}, {cv}, {min(bounds)!r}, {max(bounds)!r}),")
print("McKay-Vangel, n, cv")
for n, cv in [(4, 0.019), (5, 0.1), (10, 0.1), (10, 0.3), (30, 0.2)]:
    out = []
    for p in (0.975, 0.025):
        u = stats.chi2.ppf(p, n - 1)
        out.append(float(cv / np.sqrt(((u + 2) / n - 1) * cv**2 + u / (n - 1))))
    print(f"  ({n}, {cv}, {out[0]!r}, {out[1]!r}),")

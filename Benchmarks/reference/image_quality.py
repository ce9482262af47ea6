#!/usr/bin/env python3
"""Reference values of MS-SSIM by numpy alone, for images that a formula makes. The Swift tests carry the numbers.

Needs `pip install numpy`. Written from Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image
quality assessment" (2003): a direct sum over every window, no separable filter, no batches.
"""
import numpy as np

WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def image(height, width, distortion):
    """[3, height, width] in 0...1; `distortion` of 0 is the original."""
    c, y, x = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    base = (7 * x + 3 * y * (c + 1) + (x * y) // 16) % 160 + 40
    change = ((5 * x + 11 * y + 17 * c) % 13 - 6) * distortion
    return np.clip(base + change, 0, 255) / 255.0


def window(side):
    deviation = 1.5 * side / 11
    distance = np.arange(side) - (side - 1) / 2
    line = np.exp(-distance**2 / (2 * deviation**2))
    plane = np.outer(line, line)
    return plane / plane.sum()


def similarity(x, y):
    side = min(11, *x.shape[1:])
    w = window(side)
    ssim, contrast = [], []
    for channel in range(3):
        for i in range(x.shape[1] - side + 1):
            for j in range(x.shape[2] - side + 1):
                a = x[channel, i:i + side, j:j + side]
                b = y[channel, i:i + side, j:j + side]
                ma, mb = (w * a).sum(), (w * b).sum()
                va, vb = (w * (a - ma)**2).sum(), (w * (b - mb)**2).sum()
                cov = (w * (a - ma) * (b - mb)).sum()
                cs = (2 * cov + 0.03**2) / (va + vb + 0.03**2)
                contrast.append(cs)
                ssim.append(cs * (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2))
    return np.mean(ssim), np.mean(contrast)


def halve(x):
    for axis in (1, 2):
        if x.shape[axis] % 2:
            x = np.concatenate([x, np.take(x, [-1], axis)], axis)
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def multi_scale(x, y):
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            x, y = halve(x), halve(y)
        ssim, contrast = similarity(x, y)
        result *= max(ssim if scale == 4 else contrast, 0)**weight
    return result


for height, width in [(176, 176), (64, 64), (50, 37)]:
    for distortion in (1, 4):
        x, y = image(height, width, distortion), image(height, width, 0)
        error = ((x - y)**2).mean()
        print(f"{height}x{width} distortion {distortion}: MS-SSIM {multi_scale(x, y):.12f}"
              f" PSNR {-10 * np.log10(error):.10f}")

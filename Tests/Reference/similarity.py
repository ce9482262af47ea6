#!/usr/bin/env python3
"""Prints what Tests/AnalysisTests/SimilarityTests.swift expects, by SciPy and scikit-learn.

  pip install numpy scipy scikit-learn && python3 Tests/Reference/similarity.py

The data are made by a formula that both sides compute: x[i][j] = sin(1 + 3 i + 7 j) + 2 (i mod 3) cos(j), 12 rows, 4 columns.
"""
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score, silhouette_samples

data = np.array([[np.sin(1 + 3 * i + 7 * j) + 2 * (i % 3) * np.cos(j) for j in range(4)] for i in range(12)])


def show(name, values):
    print(f"let {name}: [Double] = [" + ", ".join(repr(float(v)) for v in np.ravel(values)) + "]")


for method in ("ward", "average"):
    tree = linkage(data, method)
    show(method + "Distances", tree[:, 2])
    show(method + "Sizes", tree[:, 3])
    show(method + "Labels", fcluster(tree, 3, "maxclust"))
labels = fcluster(linkage(data, "ward"), 3, "maxclust")
show("silhouettes", silhouette_samples(data, labels))
centred = data - data.mean(0)
_, singular, vectors = np.linalg.svd(centred, full_matrices=False)
show("variances", singular**2 / (len(data) - 1))
show("firstComponent", vectors[0] * np.sign(vectors[0][np.argmax(np.abs(vectors[0]))]))
a = [0, 0, 1, 1, 2, 2, 2, 0]
b = [1, 1, 0, 0, 0, 2, 2, 1]
show("rand", [adjusted_rand_score(a, b)])

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

# Agreement of bootstrap samples with the groups of all members: three clusters by Ward, samples by a formula.
found = []
for s in range(6):
    sample = [(i * i * i + (2 * s + 1) * i + i // (s + 2)) % 12 for i in range(12)]
    cut = fcluster(linkage(data[sample], "ward"), 3, "maxclust")
    held = sorted(set(sample))
    found.append(adjusted_rand_score([labels[m] for m in held], [cut[sample.index(m)] for m in held]))
show("bootstrapAgreements", found)

# What Tests/AnalysisTests/MapTests.swift expects: affinities and trustworthiness by scikit-learn, divergence by the formula.
from sklearn.manifold import trustworthiness  # noqa: E402
from sklearn.manifold._t_sne import _joint_probabilities  # noqa: E402
from sklearn.metrics import pairwise_distances  # noqa: E402

points = np.array([[np.sin(2 + 5 * i), np.cos(3 * i) + (i % 3)] for i in range(12)])
show("trustworthiness", [trustworthiness(data, points, n_neighbors=k) for k in (1, 3, 5)])
squared = pairwise_distances(data, metric="sqeuclidean")
joint = _joint_probabilities(squared, 3, 0)
show("affinitiesOfTheFirst", joint[:11])
weights = 1 / (1 + pairwise_distances(points, metric="sqeuclidean"))
upper = weights[np.triu_indices(12, 1)]
show("divergence", [2 * np.sum(joint * np.log(joint / (upper / (2 * upper.sum()))))])

#!/usr/bin/env python3
"""DLRM, a cell of ENAS's search space, and MiniGo's network in PyTorch: prints outputs and gradient norms for the tests.

Needs `pip install torch` (any CPU wheel from 2.1 on). Parameters and inputs are sines of their places, so that nothing
has to be stored: number i of parameter k (in the order below, which is the Swift models') is 0.2 sin(0.37 i + k).
"""
import json
import math
import torch
from torch import nn
from torch.nn import functional as F


def wave(shape, k, scale=0.2):
    n = math.prod(shape)
    return torch.tensor([scale * math.sin(0.37 * i + k) for i in range(n)], dtype=torch.float32).reshape(shape)


def fill(parameters):
    with torch.no_grad():
        for k, parameter in enumerate(parameters):
            parameter.copy_(wave(parameter.shape, k))


def report(outputs, loss, parameters):
    loss.backward()
    return {"outputs": [round(x, 6) for x in outputs.flatten().tolist()[:6]], "loss": round(loss.item(), 6),
            "gradients": [float("%.5g" % p.grad.norm()) for p in parameters]}


def dlrm():
    rows = [4 + f for f in range(26)]
    tables = [nn.EmbeddingBag(r, 8, mode="sum") for r in rows]
    bottom = [nn.Linear(a, b) for a, b in [(13, 64), (64, 16), (16, 8)]]
    top = [nn.Linear(a, b) for a, b in [(359, 64), (64, 32), (32, 1)]]
    parameters = [p for m in tables + bottom + top for p in m.parameters()]
    fill(parameters)
    x = dense = wave((3, 13), 0.5, 1)
    for layer in bottom:
        x = F.relu(layer(x))
    index = lambda field: torch.tensor([(7 * n + 3 * field) % rows[field] for n in range(3)])
    vectors = torch.stack([x] + [table(index(f)[:, None]) for f, table in enumerate(tables)], 1)
    products = vectors @ vectors.transpose(1, 2)
    i, j = torch.tril_indices(27, 27, -1)
    y = torch.cat([x, products[:, i, j]], 1)
    for layer in top[:-1]:
        y = F.relu(layer(y))
    y = top[-1](y)[:, 0]
    return report(y, F.binary_cross_entropy_with_logits(y, torch.tensor([1.0, 0, 1])), parameters)


def cell():
    hidden, nodes, words, steps, samples = 6, 4, 11, 5, 3
    activations = [torch.relu, torch.tanh, torch.sigmoid, lambda x: x]
    predecessors = [None, 0, 0, 2]
    make = lambda *shape: nn.Parameter(torch.zeros(shape))
    edges = nodes * (nodes - 1) // 2
    table, decoder_bias, w_hc, w_hh = make(words, hidden), make(words), make(hidden, hidden), make(hidden, hidden)
    w_xc, w_xh = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
    w_c, w_h = [make(hidden, hidden) for _ in range(edges)], [make(hidden, hidden) for _ in range(edges)]
    weight, bias = make(hidden), make(hidden)
    # The module's own parameters come first, then those of its parts.
    parameters = [decoder_bias, w_hc, w_hh, table, *w_xc.parameters(), *w_xh.parameters(), *w_c, *w_h, weight, bias]
    fill(parameters)
    tokens = torch.tensor([[(5 * t + 3 * n) % words for n in range(samples)] for t in range(steps)])
    targets = torch.tensor([[(5 * t + 3 * n + 1) % words for n in range(samples)] for t in range(steps)])
    state = wave((samples, hidden), 0.5, 1)
    outputs = []
    for t in range(steps):
        x = table[tokens[t]]
        c = torch.sigmoid(w_xc(x) + state @ w_hc.T)
        h = [c * activations[0](w_xh(x) + state @ w_hh.T) + (1 - c) * state]
        for j in range(1, nodes):
            i = predecessors[j]
            edge = j * (j - 1) // 2 + i
            c = torch.sigmoid(h[i] @ w_c[edge].T)
            h.append(c * activations[j](h[i] @ w_h[edge].T) + (1 - c) * h[i])
        outputs.append((h[1] + h[3]) / 2)
        state = h[-1]
    y = F.batch_norm(torch.cat(outputs), None, None, weight, bias, training=True)
    logits = F.linear(y, table, decoder_bias)
    used = [p for p in parameters]
    loss = F.cross_entropy(logits, targets.flatten())
    loss.backward()
    return {"outputs": [round(x, 6) for x in logits.flatten().tolist()[:6]], "loss": round(loss.item(), 6),
            "gradients": [float("%.5g" % p.grad.norm()) if p.grad is not None else 0 for p in used],
            "state": [round(x, 6) for x in state.flatten().tolist()[:6]]}


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def parts(self):
        return [self.conv1, self.conv2, self.bn1, self.bn2]

    def forward(self, x):
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def board():
    planes, side, channels, moves = 3, 3, 4, 9
    stem, stem_bn = nn.Conv2d(planes, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    blocks = [Block(channels) for _ in range(2)]
    policy, policy_bn, policy_fc = nn.Conv2d(channels, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Linear(18, moves)
    value, value_bn = nn.Conv2d(channels, 1, 1, bias=False), nn.BatchNorm2d(1)
    value_fc1, value_fc2 = nn.Linear(9, 5), nn.Linear(5, 1)
    modules = [stem, stem_bn, *[part for block in blocks for part in block.parts()], policy, policy_bn, policy_fc,
               value, value_bn, value_fc1, value_fc2]
    parameters = [p for m in modules for p in m.parameters()]
    fill(parameters)
    x = wave((4, planes, side, side), 0.5, 1)
    y = F.relu(stem_bn(stem(x)))
    for block in blocks:
        y = block(y)
    logits = policy_fc(F.relu(policy_bn(policy(y))).flatten(1))
    outcome = torch.tanh(value_fc2(F.relu(value_fc1(F.relu(value_bn(value(y))).flatten(1)))))[:, 0]
    visits = torch.softmax(wave((4, moves), 0.25, 1), 1)
    results = torch.tensor([1.0, -1, 0, 1])
    loss = -(visits * torch.log_softmax(logits, 1)).sum(1).mean() + F.mse_loss(outcome, results)
    return report(torch.cat([logits.flatten()[:3], outcome[:3]]), loss, parameters)




torch.manual_seed(0)
print(json.dumps({"torch": torch.__version__, "dlrm": dlrm(), "cell": cell(), "board": board()}, indent=1))

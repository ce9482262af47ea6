#!/usr/bin/env python3
"""Reference parameter counts and FLOPs of the four benchmarks' models, by PyTorch itself.

Needs `pip install torch` (any CPU wheel from 2.1 on). Prints one JSON object; the Swift tests carry its values.
FLOPs are torch.utils.flop_counter's: one multiply-accumulate is two, of convolutions and matrix products only.
"""
import json
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode


class Bottleneck(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample = None
        if stride != 1 or inputs != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet(stem, planes, blocks, strides, classes):
    channels = stem[0].out_channels
    layers = list(stem)
    for p, n, s in zip(planes, blocks, strides):
        for i in range(n):
            layers.append(Bottleneck(channels, p, s if i == 0 else 1))
            channels = 4 * p
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet50():
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return resnet(stem, [64, 128, 256, 512], [3, 4, 6, 3], [1, 2, 2, 2], 1000)


def small_resnet():
    stem = [nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return resnet(stem, [8, 16, 32, 64], [1, 1, 1, 1], [1, 2, 2, 2], 10)


class NeuMF(nn.Module):
    def __init__(self, users, items, factors, layers):
        super().__init__()
        self.gu, self.gi = nn.Embedding(users, factors), nn.Embedding(items, factors)
        self.mu, self.mi = nn.Embedding(users, layers[0] // 2), nn.Embedding(items, layers[0] // 2)
        self.mlp = nn.ModuleList(nn.Linear(a, b) for a, b in zip(layers, layers[1:]))
        self.final = nn.Linear(factors + layers[-1], 1)

    def forward(self, user, item):
        h = torch.cat([self.mu(user), self.mi(item)], 1)
        for layer in self.mlp:
            h = F.relu(layer(h))
        return self.final(torch.cat([self.gu(user) * self.gi(item), h], 1)).squeeze(1)


class SpatialTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.loc = nn.Sequential(nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(),
                                 nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU())
        self.fc_loc = nn.Sequential(nn.Linear(90, 32), nn.ReLU(), nn.Linear(32, 6))
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        theta = self.fc_loc(self.loc(x).flatten(1)).view(-1, 2, 3)
        x = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return F.log_softmax(self.fc2(F.relu(self.fc1(x.flatten(1)))), 1)


class Caser(nn.Module):
    def __init__(self, users, items, d, length=5, nv=2, nh=16):
        super().__init__()
        self.users, self.items = nn.Embedding(users, d), nn.Embedding(items, d)
        self.vertical = nn.Conv2d(1, nv, (length, 1))
        self.horizontal = nn.ModuleList(nn.Conv2d(1, nh, (h, d)) for h in range(1, length + 1))
        self.fc = nn.Linear(nv * d + nh * length, d)
        self.w2, self.b2 = nn.Embedding(items, 2 * d), nn.Embedding(items, 1)

    def forward(self, sequence, user, item):
        e = self.items(sequence).unsqueeze(1)
        parts = [self.vertical(e).flatten(1)]
        parts += [F.relu(conv(e).squeeze(3)).amax(2) for conv in self.horizontal]
        x = torch.cat([torch.sigmoid(self.fc(torch.cat(parts, 1))), self.users(user)], 1)
        return torch.baddbmm(self.b2(item), self.w2(item), x.unsqueeze(2)).squeeze(2)


def measure(model, loss, *inputs):
    model.train()
    with FlopCounterMode(display=False) as forward:
        model(*inputs)
    with FlopCounterMode(display=False) as step:
        loss(model(*inputs)).backward()
    return {"parameters": sum(p.numel() for p in model.parameters()),
            "forward_flops": forward.get_total_flops(), "training_step_flops": step.get_total_flops()}


torch.manual_seed(0)
index = lambda bound, *shape: torch.randint(0, bound, shape)
total = lambda y: y.sum()
print(json.dumps({
    "torch": torch.__version__,
    "resnet50, batch 2, 224x224": measure(resnet50(), total, torch.randn(2, 3, 224, 224)),
    "resnet50, batch 1, 224x224 (forward in evaluation mode)": {
        "forward_flops": (lambda m, c: (m(torch.randn(1, 3, 224, 224)), c.__exit__(None, None, None),
                                        c.get_total_flops())[2])(
            resnet50().eval(), FlopCounterMode(display=False).__enter__())},
    "small resnet, batch 2, 32x32": measure(small_resnet(), total, torch.randn(2, 3, 32, 32)),
    "neumf f64 ml-100k, batch 3": measure(
        NeuMF(943, 1682, 64, [256, 256, 128, 64]), total, index(943, 3), index(1682, 3)),
    "neumf f64 ml-1m, batch 3": measure(
        NeuMF(6040, 3706, 64, [256, 256, 128, 64]), total, index(6040, 3), index(3706, 3)),
    "neumf f8 small, batch 3": measure(NeuMF(600, 400, 8, [32, 16, 8]), total, index(600, 3), index(400, 3)),
    "spatial transformer, batch 2": measure(SpatialTransformer(), total, torch.randn(2, 1, 28, 28)),
    "caser d100 gowalla, batch 2, 4 items": measure(
        Caser(13149, 14008, 100), total, index(14008, 2, 5), index(13149, 2), index(14008, 2, 4)),
    "caser d50 gowalla, batch 2, 4 items": measure(
        Caser(13149, 14008, 50), total, index(14008, 2, 5), index(13149, 2), index(14008, 2, 4)),
    "caser d32 small, batch 2, 4 items": measure(
        Caser(500, 241, 32, nh=8), total, index(241, 2, 5), index(500, 2), index(241, 2, 4)),
}, indent=1))

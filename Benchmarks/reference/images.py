#!/usr/bin/env python3
"""Reference values of the image-generation, image-to-image and face-embedding models, by PyTorch itself.

Needs `pip install torch` (any CPU wheel). Small models with numbers of a simple pattern in place of random ones: for
each, the mean of the output, the loss, and the 2-norm of all gradients. The Swift tests carry the printed values.
"""
import torch
from torch import nn
from torch.nn import functional as F


def pattern(shape, number, scale):
    count = 1
    for size in shape:
        count *= size
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 7919 + 104729 * number) % 1009).double() / 1009 - 0.5).mul(2 * scale).float().reshape(shape)


def fill(*modules, scale=0.1):
    number = 0
    for module in modules:
        for parameter in module.parameters():
            number += 1
            with torch.no_grad():
                parameter.copy_(pattern(parameter.shape, number, scale))


def report(name, value, loss, *modules):
    loss.backward()
    square = sum((p.grad ** 2).sum().item() for m in modules for p in m.parameters() if p.grad is not None)
    print(f"{name}: mean {value.mean().item():.8g}  loss {loss.item():.8g}  gradient {square ** 0.5:.8g}")


def perceptron(a, b, c):
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b), nn.ReLU(), nn.Linear(b, b), nn.ReLU(), nn.Linear(b, c))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.body = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c), nn.ReLU(),
                                  nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c))

    def forward(self, x):
        return x + self.body(x)


def generator(width, down, blocks):
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]
    c = width
    for _ in range(down):
        layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU()]
        c *= 2
    layers += [Block(c) for _ in range(blocks)]
    for _ in range(down):
        layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1), nn.InstanceNorm2d(c // 2), nn.ReLU()]
        c //= 2
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh())


def discriminator(width, count):
    layers, c = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)], width
    for n in range(1, count + 1):
        following = width * min(2 ** n, 8)
        layers += [nn.Conv2d(c, following, 4, 2 if n < count else 1, 1), nn.InstanceNorm2d(following), nn.LeakyReLU(0.2)]
        c = following
    return nn.Sequential(*layers, nn.Conv2d(c, 1, 4, 1, 1))


class Basic(nn.Module):
    def __init__(self, a, b, s):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, s, 1, bias=False), nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)
        self.downsample = None
        if s != 1 or a != b:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, s, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def facenet(w, d):
    return nn.Sequential(
        nn.Conv2d(3, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(), Basic(w, w, 1), Basic(w, 2 * w, 2),
        Basic(2 * w, 4 * w, 2), Basic(4 * w, 8 * w, 2), nn.Flatten(), nn.Linear(8 * w * 16, d))


def wasserstein():
    g, c = perceptron(6, 8, 48), perceptron(48, 8, 1)
    fill(g, c, scale=0.4)
    made = g(pattern([5, 6], 1, 2))
    advantage = c(pattern([5, 48], 2, 1)).mean() - c(made).mean()
    report("wasserstein", made, advantage, g, c)


def cycle():
    g, f, dx, dy = generator(4, 1, 2), generator(4, 1, 2), discriminator(4, 2), discriminator(4, 2)
    fill(g, f, dx, dy)
    x, y = pattern([2, 3, 16, 16], 1, 1), pattern([2, 3, 16, 16], 2, 1)
    made_x, made_y = f(y), g(x)

    def judged(d, images, target):
        patches = d(images)
        return F.mse_loss(patches, torch.full_like(patches, target))

    loss = judged(dy, made_y, 1.) + judged(dx, made_x, 1.) + 10 * (F.l1_loss(f(made_y), x) + F.l1_loss(g(made_x), y))
    loss = loss + 5 * (F.l1_loss(g(y), y) + F.l1_loss(f(x), x))
    report("cycle generators", made_y, loss, g, f)
    dx.zero_grad()
    dy.zero_grad()
    loss = 0.5 * (judged(dx, x, 1.) + judged(dx, made_x.detach(), 0.))
    loss = loss + 0.5 * (judged(dy, y, 1.) + judged(dy, made_y.detach(), 0.))
    report("cycle discriminators", dy(y), loss, dx, dy)


def triplets():
    net = facenet(4, 8)
    fill(net)
    y = net(pattern([12, 3, 32, 32], 1, 1))
    y = 10 * y / y.norm(dim=1, keepdim=True)
    a, p, n = y[:4], y[4:8], y[8:]
    excess = F.relu(F.pairwise_distance(a, p) - F.pairwise_distance(a, n) + 0.5)
    loss = excess.sum() / (excess > 0).sum()
    print(f"hard triplets: {(excess > 0).sum().item()}")
    report("triplets", y, loss, net)


wasserstein()
cycle()
triplets()

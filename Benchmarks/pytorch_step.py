#!/usr/bin/env python3
"""The small models of some benchmarks in PyTorch, with its own layers: the median time of a training step.

Usage: pytorch_step.py MODEL [THREADS]; --list names the models, --benchmark MODEL the benchmark that a model is of.

To add a model: a function decorated with @model that makes a network and gives (network, optimizer, batches), where
batches is a list of functions without arguments that compute the loss of one batch each.
"""

import random
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

MODELS = {}


def model(name, benchmark, parameters):
    """Registers a model with the benchmark that it is of, and the number of its parameters, so that it is the same."""

    def register(make):
        MODELS[name] = (benchmark, parameters, make)
        return make

    return register


# resnet


class Bottleneck(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        outputs = planes * 4
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class SmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        layers, channels = [], 8
        for number, stride in enumerate([1, 2, 2, 2]):
            layers.append(Bottleneck(channels, 8 << number, stride))
            channels = (8 << number) * 4
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(F.adaptive_avg_pool2d(self.layers(x), 1).flatten(1))


@model("resnet", "image-classification", 130_002)
def resnet():
    network = SmallResNet()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)
    x = torch.randn(64, 3, 32, 32)
    target = torch.randint(0, 10, (64,))
    return network, optimizer, [lambda: F.cross_entropy(network(x), target)]


# transformer: nn.MultiheadAttention, nn.LayerNorm and nn.Linear, put together as the benchmark's base model is


class Block(nn.Module):
    """A decoder's layer, or without memory an encoder's."""

    def __init__(self, width, heads, hidden, has_memory):
        super().__init__()
        attention = lambda: nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.own, self.memory = attention(), attention() if has_memory else None
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if has_memory else 2))

    def forward(self, x, memory=None, padding=None, causal=None):
        drop = lambda y: F.dropout(y, 0.1, self.training)
        own = self.own(
            x, x, x, key_padding_mask=padding if memory is None else None, attn_mask=causal, need_weights=False)[0]
        x = self.norms[0](x + drop(own))
        if memory is not None:
            x = self.norms[1](
                x + drop(self.memory(x, memory, memory, key_padding_mask=padding, need_weights=False)[0]))
        return self.norms[-1](x + drop(self.linear2(F.relu(self.linear1(x), inplace=True))))


class SmallTransformer(nn.Module):
    def __init__(self, vocabulary=24, width=64, heads=4, hidden=128, layers=2):
        super().__init__()
        self.source = nn.Embedding(vocabulary, width, padding_idx=0)
        self.target = nn.Embedding(vocabulary, width, padding_idx=0)
        waves = torch.exp(torch.arange(width // 2) * (-torch.log(torch.tensor(10000.0)) / (width // 2)))
        angles = torch.arange(512)[:, None] * waves
        self.register_buffer("places", torch.stack([angles.sin(), angles.cos()], 2).flatten(1))
        self.encoder = nn.ModuleList(Block(width, heads, hidden, False) for _ in range(layers))
        self.decoder = nn.ModuleList(Block(width, heads, hidden, True) for _ in range(layers))

    def forward(self, source, padding, target, causal):
        memory = self.source(source) + self.places[: source.shape[1]]
        for block in self.encoder:
            memory = block(memory, padding=padding)
        x = self.target(target) + self.places[: target.shape[1]]
        for block in self.decoder:
            x = block(x, memory, padding, causal)
        return F.linear(x * x.shape[-1] ** -0.5, self.target.weight)


@model("transformer", "text-to-text-translation", 170_496)
def transformer():
    network = SmallTransformer()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-9)
    # Sentences of 4 to 9 words, as most batches have, with an end token.
    lengths = torch.randint(5, 11, (64, 1))
    lengths[0] = 10
    padding = torch.arange(10) >= lengths
    source = torch.randint(4, 24, (64, 10)).masked_fill(padding, 0)
    target = torch.randint(4, 24, (64, 10)).masked_fill(padding, 0)

    def loss():
        # What the benchmark computes for each batch too.
        mask = source == 0
        causal = torch.ones(10, 10, dtype=torch.bool).triu(1)
        logits = network(source, mask, target, causal)
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=0.1, ignore_index=0)

    return network, optimizer, [loss]


# ncf


class SmallNeuMF(nn.Module):
    def __init__(self, users=600, items=400, factors=8, layers=(32, 16, 8)):
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


@model("ncf", "recommendation", 24_681)
def ncf():
    network = SmallNeuMF()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    users, items = torch.randint(0, 600, (512,)), torch.randint(0, 400, (512,))
    labels = (torch.rand(512) < 0.2).float()
    return network, optimizer, [lambda: F.binary_cross_entropy_with_logits(network(users, items), labels)]


# deepspeech2


class SpeechConvolution(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel[0] // 2, kernel[1] // 2))
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x, mask):
        x = self.conv(x)
        x = x if mask is None else x.masked_fill(mask, 0)
        x = self.bn(x)
        x = x if mask is None else x.masked_fill(mask, 0)
        return F.hardtanh(x, 0, 20)


class SpeechRecurrence(nn.Module):
    def __init__(self, inputs, hidden, first):
        super().__init__()
        self.batch_norm = None if first else nn.BatchNorm1d(inputs)
        self.rnn = nn.GRU(inputs, hidden, bidirectional=True)

    def forward(self, x, lengths):
        t, n, _ = x.shape
        if self.batch_norm is not None:
            x = self.batch_norm(x.view(t * n, -1)).view(t, n, -1)
        if lengths is None:
            y, _ = self.rnn(x)
        else:
            y, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths))[0], total_length=t)
        return y.view(t, n, 2, -1).sum(2)


class SmallDeepSpeech2(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList(
            [SpeechConvolution(1, 8, (21, 11), (2, 2)), SpeechConvolution(8, 8, (11, 5), (2, 1))])
        self.rnns = nn.ModuleList([SpeechRecurrence(8 * 21, 48, True), SpeechRecurrence(48, 48, False)])
        self.bn = nn.BatchNorm1d(48)
        self.fc = nn.Linear(48, 29, bias=False)

    def forward(self, x, lengths):
        frames = (x.shape[3] - 1) // 2 + 1
        padded = min(lengths) < frames
        mask = None
        if padded:
            mask = (torch.arange(frames)[None, :] >= torch.tensor(lengths)[:, None])[:, None, None, :]
        for conv in self.conv:
            x = conv(x, mask)
        x = x.flatten(1, 2).permute(2, 0, 1).contiguous()
        for rnn in self.rnns:
            x = rnn(x, lengths if padded else None)
        t, n, _ = x.shape
        return self.fc(self.bn(x.view(t * n, -1))).view(t, n, -1).log_softmax(2)


def utterance(draw):
    """Frames and letters, as the synthetic data have them: milliseconds of letters, gaps and spaces."""
    length, letters = 20, 0
    words = draw.randint(1, 3)
    for word in range(words):
        length += draw.randint(60, 100) if word else 0
        count = draw.randint(2, 4)
        letters += count + (1 if word else 0)
        length += sum(draw.randint(60, 100) + 20 for _ in range(count))
    return 1 + length // 10, letters


@model("deepspeech2", "speech-recognition", 98_008)
def deepspeech2():
    """Utterances as long as the benchmark's: their lengths are drawn as its are, sorted, and cut into batches."""
    network = SmallDeepSpeech2()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    draw = random.Random(1)
    utterances = sorted(utterance(draw) for _ in range(600))

    def batch(part):
        frames, letters = [f for f, _ in part], [k for _, k in part]
        lengths = [(f - 1) // 2 + 1 for f in frames]
        x, targets = torch.randn(24, 1, 81, frames[0]), torch.randint(2, 14, (24, max(letters)))
        return lambda: F.ctc_loss(
            network(x, lengths), targets, lengths, letters, reduction="sum", zero_infinity=True) / 24

    return network, optimizer, [batch(utterances[start:start + 24][::-1]) for start in range(0, 600, 24)]


def measure(name, threads):
    _, parameters, make = MODELS[name]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network, optimizer, batches = make()
    assert sum(p.numel() for p in network.parameters()) == parameters, sum(p.numel() for p in network.parameters())
    times = []
    for step in range(63):
        start = time.perf_counter()
        loss = batches[step % len(batches)]()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append(time.perf_counter() - start)
    times.sort()
    print(f"pytorch: median step {times[len(times) // 2] * 1e3:.3f} ms ({torch.__version__})")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--list"]:
        print(*MODELS)
    elif len(arguments) == 2 and arguments[0] == "--benchmark" and arguments[1] in MODELS:
        print(MODELS[arguments[1]][0])
    elif arguments and arguments[0] in MODELS:
        measure(arguments[0], int(arguments[1]) if len(arguments) > 1 else 2)
    else:
        sys.exit(f"{__doc__}\nModels: {', '.join(MODELS)}")

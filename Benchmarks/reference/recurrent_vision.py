#!/usr/bin/env python3
"""Reference parameter counts and forward FLOPs of video prediction, image compression and 3D reconstruction.

Needs `pip install torch` (any CPU wheel from 2.1 on). Written from the papers, apart from the Swift models, whose tests
carry the printed numbers. FLOPs are torch.utils.flop_counter's (a multiply-accumulate is two), of one sample. Nothing
is computed: all tensors are on the meta device.
"""
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode


class Cell(nn.Module):
    """A convolutional LSTM; one convolution over [x, h], or one for each."""

    def __init__(self, inputs, width, kernel, stride=1, hidden_kernel=None):
        super().__init__()
        self.width, self.joint = width, hidden_kernel is None
        if self.joint:
            self.conv = nn.Conv2d(inputs + width, 4 * width, kernel, padding=kernel // 2)
        else:
            self.x = nn.Conv2d(inputs, 4 * width, kernel, stride, kernel // 2, bias=False)
            self.h = nn.Conv2d(width, 4 * width, hidden_kernel, padding=hidden_kernel // 2, bias=False)

    def forward(self, x, state):
        if self.joint:
            h, c = state or (x.new_zeros(len(x), self.width, *x.shape[2:]), 0)
            gates = self.conv(torch.cat([x, h], 1))
        else:
            gates = self.x(x)
            h, c = state or (x.new_zeros(len(x), self.width, *gates.shape[2:]), 0)
            gates = gates + self.h(h)
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class CDNA(nn.Module):
    def __init__(self, w, stem, kernel, motions, side, frames, state):
        super().__init__()
        self.motions, self.frames = motions, frames
        half = lambda a, b, k: nn.Conv2d(a, b, k, 2, k // 2)
        double = lambda a: nn.ConvTranspose2d(a, a, 3, 2, 1, 1)
        self.enc = nn.ModuleList([half(3, stem, 5), half(w[1], w[1], 3), half(w[3], w[3], 3),
                                  nn.Conv2d(w[3] + 2 * state, w[3], 1)])
        inputs = [stem, w[0], w[1], w[2], w[3], w[4], w[5] + w[1]]
        self.cells = nn.ModuleList(Cell(a, b, kernel) for a, b in zip(inputs, w))
        outer = w[6] + stem
        self.up = nn.ModuleList([double(w[4]), double(w[5] + w[1]), double(outer)])
        self.norms = nn.ModuleList(nn.GroupNorm(1, c) for c in [stem, *w, outer])
        self.paint, self.mask = nn.ConvTranspose2d(outer, 3, 1), nn.ConvTranspose2d(outer, motions + 1, 1)
        self.kernels = nn.Linear(w[4] * (side // 8)**2, 25 * motions)
        self.state = nn.Linear(2 * state, state)

    def forward(self, images, states, actions):
        memory, state, result = [None] * 7, states[:, 0], []
        for t in range(self.frames - 1):
            x = images[:, t] if t < 2 else result[-1]

            def cell(n, y):
                memory[n] = self.cells[n](y, memory[n])
                return self.norms[n + 1](memory[n][0])

            e0 = F.relu(self.norms[0](self.enc[0](x)))
            e1 = F.relu(self.enc[1](cell(1, cell(0, e0))))
            e2 = F.relu(self.enc[2](cell(3, cell(2, e1))))
            robot = torch.cat([actions[:, t], state], 1)
            smear = robot[:, :, None, None].expand(-1, -1, *e2.shape[2:])
            h5 = cell(4, F.relu(self.enc[3](torch.cat([e2, smear], 1))))
            h6 = cell(5, F.relu(self.up[0](h5)))
            h7 = cell(6, F.relu(self.up[1](torch.cat([h6, e1], 1))))
            e6 = F.relu(self.norms[8](self.up[2](torch.cat([h7, e0], 1))))
            n, side = len(x), x.shape[-1]
            k = F.relu(self.kernels(h5.flatten(1)).view(n, self.motions, 25)) + 1e-12
            k = (k / k.sum(2, keepdim=True)).view(n * self.motions, 1, 5, 5)
            moved = F.conv2d(x.transpose(0, 1), k, padding=2, groups=n)
            moved = moved.reshape(3, n, self.motions, side, side).permute(1, 2, 0, 3, 4)
            layers = torch.cat([x[:, None], self.paint(e6).sigmoid()[:, None], moved[:, :-1]], 1)
            result.append((layers * self.mask(e6).softmax(1)[:, :, None]).sum(1))
            state = self.state(robot)
        return result


class Codec(nn.Module):
    def __init__(self, stem, e, bits, d, iterations):
        super().__init__()
        self.iterations = iterations
        plain = lambda a, b: nn.Conv2d(a, b, 1, bias=False)
        self.stem = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.encoder = nn.ModuleList([Cell(stem, e[0], 3, 2, 1), Cell(e[0], e[1], 3, 2, 1), Cell(e[1], e[2], 3, 2, 1)])
        self.bits, self.first, self.last = plain(e[2], bits), plain(bits, d[0]), plain(d[3] // 4, 3)
        self.decoder = nn.ModuleList([Cell(d[0], d[0], 3, 1, 1), Cell(d[0] // 4, d[1], 3, 1, 1),
                                      Cell(d[1] // 4, d[2], 3, 1, 3), Cell(d[2] // 4, d[3], 3, 1, 3)])

    def forward(self, x):
        encoder, decoder = [None] * 3, [None] * 4
        for _ in range(self.iterations):
            y = self.stem(x)
            for n, cell in enumerate(self.encoder):
                encoder[n] = cell(y, encoder[n])
                y = encoder[n][0]
            y = self.first(self.bits(y).tanh().sign())
            for n, cell in enumerate(self.decoder):
                decoder[n] = cell(y, decoder[n])
                y = F.pixel_shuffle(decoder[n][0], 2)
            x = x - self.last(y).tanh() / 2
        return x


class PTN(nn.Module):
    def __init__(self, image, volume, f, dense, code):
        super().__init__()
        conv = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 5, 2, 2), nn.ReLU())
        linear = lambda a, b: nn.Sequential(nn.Linear(a, b), nn.ReLU())
        first = volume // 8
        self.encoder = nn.Sequential(conv(3, f), conv(f, 2 * f), conv(2 * f, 4 * f), nn.Flatten(),
                                     linear(4 * f * (image // 8)**2, dense), linear(dense, dense))
        self.id, self.pose = linear(dense, code), linear(dense, code)
        self.decoder = nn.Sequential(
            linear(code, 8 * f * first**3), nn.Unflatten(1, (8 * f, first, first, first)),
            nn.ConvTranspose3d(8 * f, 4 * f, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose3d(4 * f, 3 * f // 2, 5, 2, 2, 1), nn.ReLU(),
            nn.ConvTranspose3d(3 * f // 2, 1, 6, 2, 2), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.id(self.encoder(x)))


def show(name, model, *shapes):
    inputs = [torch.empty(shape, device="meta") for shape in shapes]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, {counter.get_total_flops()} FLOPs")


with torch.device("meta"):
    show("video prediction, paper", CDNA([32, 32, 64, 64, 128, 64, 32], 32, 5, 10, 64, 10, 5),
         (1, 10, 3, 64, 64), (1, 10, 5), (1, 10, 5))
    show("video prediction, small", CDNA([8, 8, 16, 16, 32, 16, 8], 8, 3, 4, 32, 6, 2),
         (1, 6, 3, 32, 32), (1, 6, 2), (1, 6, 2))
    show("image compression, paper", Codec(64, [256, 512, 512], 32, [512, 512, 256, 128], 16), (1, 3, 32, 32))
    show("image compression, small", Codec(16, [24, 32, 32], 16, [32, 32, 32, 16], 4), (1, 3, 32, 32))
    show("3D reconstruction, paper", PTN(64, 32, 64, 1024, 512), (1, 3, 64, 64))
    show("3D reconstruction, small", PTN(32, 16, 8, 128, 64), (1, 3, 32, 32))

#!/usr/bin/env python3
"""Reference parameter counts, FLOPs, outputs and gradients of the three detectors, by PyTorch itself.

Needs `pip install torch` (any CPU wheel from 2.4 on). Prints one JSON object; the Swift tests carry its values.

FLOPs are torch.utils.flop_counter's of a forward pass in evaluation mode: a multiply-accumulate is two, of convolutions
and matrix products only. Models live on the meta device for that, so that nothing is computed. Region pooling and
suppression are no products, so a pooled region is an empty tensor.

Outputs and gradients are those of the small models with parameters and images made by a rule. Instead of pooled regions
the heads see a corner of the finest map.
"""
import json
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

torch.set_default_device("meta")


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with the stride in the first."""

    def __init__(self, inputs, planes, stride, bottleneck):
        super().__init__()
        outputs = 4 * planes if bottleneck else planes
        shapes = ([(inputs, planes, 1, stride), (planes, planes, 3, 1), (planes, outputs, 1, 1)] if bottleneck
                  else [(inputs, planes, 3, stride), (planes, planes, 3, 1)])
        self.body = nn.Sequential(*[
            layer for i, o, k, s in shapes for layer in (nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))])
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for place in range(0, len(self.body), 2):
            y = self.body[place + 1](self.body[place](y))
            y = F.relu(y) if place + 2 < len(self.body) else y
        return F.relu(y + self.shortcut(x))


def backbone(width, blocks, strides, bottleneck, padded):
    """Stem and stages; the channels of each stage."""
    stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                         nn.MaxPool2d(3, 2, 1) if padded else nn.MaxPool2d(3, 2, ceil_mode=True))
    stages, channels, inputs = [], [], width
    for number, (count, stride) in enumerate(zip(blocks, strides)):
        planes = width << number
        layers = []
        for block in range(count):
            layers.append(Block(inputs, planes, stride if block == 0 else 1, bottleneck))
            inputs = 4 * planes if bottleneck else planes
        stages.append(nn.Sequential(*layers))
        channels.append(inputs)
    return stem, nn.ModuleList(stages), channels


class Proposals(nn.Module):
    def __init__(self, inputs, channels, anchors, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
        self.objectness, self.deltas = nn.Conv2d(channels, outputs * anchors, 1), nn.Conv2d(channels, 4 * anchors, 1)

    def forward(self, x):
        y = F.relu(self.conv(x))
        return [self.objectness(y), self.deltas(y)]


class FasterRCNN(nn.Module):
    def __init__(self, width, blocks, strides, channels, anchors, classes):
        super().__init__()
        self.stem, self.stages, self.channels = backbone(width, blocks, strides, True, False)
        self.rpn = Proposals(self.channels[2], channels, anchors, 2)
        self.cls, self.box = nn.Linear(self.channels[3], classes), nn.Linear(self.channels[3], 4 * classes)

    def forward(self, x, regions):
        x = self.stem(x)
        for stage in self.stages[:3]:
            x = stage(x)
        pooled = x[:, :, :7, :7] if regions is None else torch.empty(regions, self.channels[2], 7, 7)
        y = self.stages[3](pooled).mean([2, 3])
        return self.rpn(x) + [self.cls(y), self.box(y)]


class MaskRCNN(nn.Module):
    def __init__(self, width, blocks, channels, hidden, mask_channels, classes):
        super().__init__()
        self.stem, self.stages, inputs = backbone(width, blocks, [1, 2, 2, 2], True, True)
        self.laterals = nn.ModuleList(nn.Conv2d(i, channels, 1) for i in inputs)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)
        self.rpn = Proposals(channels, channels, 3, 1)
        self.fc6, self.fc7 = nn.Linear(49 * channels, hidden), nn.Linear(hidden, hidden)
        self.cls, self.box = nn.Linear(hidden, classes), nn.Linear(hidden, 4 * classes)
        self.mask = nn.Sequential(
            *[layer for i in range(4) for layer in (
                nn.Conv2d(channels if i == 0 else mask_channels, mask_channels, 3, padding=1), nn.ReLU())],
            nn.ConvTranspose2d(mask_channels, mask_channels, 2, 2), nn.ReLU(), nn.Conv2d(mask_channels, classes, 1))
        self.channels = channels

    def forward(self, x, regions, objects):
        x, stages = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        inner = None
        maps = []
        for lateral, output, stage in reversed(list(zip(self.laterals, self.outputs, stages))):
            own = lateral(stage)
            inner = own if inner is None else own + F.interpolate(inner, own.shape[2:])
            maps.insert(0, output(inner))
        maps.append(F.max_pool2d(maps[-1], 1, 2))
        results = [output for level in maps for output in self.rpn(level)]
        if regions != 0:
            pooled = maps[0][:, :, :7, :7] if regions is None else torch.empty(regions, self.channels, 7, 7)
            y = F.relu(self.fc7(F.relu(self.fc6(pooled.flatten(1)))))
            results += [self.cls(y), self.box(y)]
        if objects != 0:
            results.append(
                self.mask(maps[0][:, :, :14, :14] if objects is None else torch.empty(objects, self.channels, 14, 14)))
        return results


class SSD(nn.Module):
    def __init__(self, width, blocks, strides, pairs, counts, classes):
        super().__init__()
        self.stem, self.stages, channels = backbone(width, blocks, strides, False, True)
        inputs = [channels[-1]] + [wide for _, wide, _, _ in pairs]
        self.additional = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, wide, 3, stride, padding), nn.ReLU())
            for i, (narrow, wide, stride, padding) in zip(inputs, pairs))
        self.loc = nn.ModuleList(nn.Conv2d(i, 4 * n, 3, padding=1) for i, n in zip(inputs, counts))
        self.conf = nn.ModuleList(nn.Conv2d(i, classes * n, 3, padding=1) for i, n in zip(inputs, counts))

    def forward(self, x):
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        results = []
        for number, (loc, conf) in enumerate(zip(self.loc, self.conf)):
            results += [loc(x), conf(x)]
            if number < len(self.additional):
                x = self.additional[number](x)
        return results


def measure(model, *inputs):
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    return {"parameters": sum(p.numel() for p in model.parameters()), "forward_flops": counter.get_total_flops()}


def pattern(count, factor, modulus):
    """Numbers from -1/2 to 1/2."""
    return torch.arange(count, dtype=torch.float64, device="cpu") * factor % modulus / modulus - 0.5


def values(model, *inputs, frozen):
    """Mean squares of the outputs, and the norm of the gradient of their sum."""
    model = model.to_empty(device="cpu")
    model.train(not frozen)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    for name, parameter in model.named_parameters():
        numbers = pattern(parameter.numel(), 37, 101).reshape(parameter.shape)
        if parameter.dim() > 1:
            numbers = numbers * 4 / (parameter[0].numel()) ** 0.5
        else:
            numbers = numbers * 0.2 + (0 if name.endswith("bias") else 1)
        parameter.data.copy_(numbers)
    if frozen:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
    with torch.device("cpu"):
        outputs = [y.square().mean() for y in model(pattern(2 * 3 * 64 * 64, 73, 211).float().view(2, 3, 64, 64), *inputs)]
        sum(outputs).backward()
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    return {"outputs": [y.item() for y in outputs], "gradient": sum(squares).sqrt().item()}


image = lambda height, width: torch.empty(1, 3, height, width)
r101, r50 = [3, 4, 23, 3], [3, 4, 6, 3]
faster = FasterRCNN(64, r101, [1, 2, 2, 2], 512, 9, 21)
small_faster = FasterRCNN(8, [1, 1, 1, 1], [1, 2, 1, 2], 64, 6, 4)
mask = MaskRCNN(64, r50, 256, 1024, 256, 81)
small_mask = MaskRCNN(8, [1, 1, 1, 1], 32, 64, 16, 4)
ssd = SSD(64, [3, 4, 6], [1, 2, 1],
          [(256, 512, 2, 1), (256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0)],
          [4, 6, 6, 6, 4, 4], 81)
small_ssd = SSD(16, [1, 1, 1], [1, 1, 1], [(32, 64, 2, 1), (32, 64, 2, 1)], [4, 4, 4], 4)
print(json.dumps({
    "torch": torch.__version__,
    "faster r-cnn r101, 600x901, 300 regions": measure(faster, image(600, 901), 300),
    "faster r-cnn r101, 600x800, 300 regions": measure(faster, image(600, 800), 300),
    "faster r-cnn r101, 64x96, 2 regions": measure(faster, image(64, 96), 2),
    "faster r-cnn r101, 12 anchors, 81 classes, 600x901, 300 regions": measure(
        FasterRCNN(64, r101, [1, 2, 2, 2], 512, 12, 81), image(600, 901), 300),
    "small faster r-cnn, 64x64, 30 regions": measure(small_faster, image(64, 64), 30),
    "mask r-cnn r50, 800x1216, no regions": measure(mask, image(800, 1216), 0, 0),
    "mask r-cnn r50, 800x1088, 1000 regions, 100 objects": measure(mask, image(800, 1088), 1000, 100),
    "mask r-cnn r50, 64x96, 2 regions, 1 object": measure(mask, image(64, 96), 2, 1),
    "mask r-cnn r50, 91 outputs": measure(MaskRCNN(64, r50, 256, 1024, 256, 91), image(64, 64), 0, 0),
    "small mask r-cnn, 64x64, 30 regions, 4 objects": measure(small_mask, image(64, 64), 30, 4),
    "ssd300 r34": measure(ssd, image(300, 300)),
    "small ssd, 64x64": measure(small_ssd, image(64, 64)),
    "small faster r-cnn, values": values(small_faster, None, frozen=True),
    "small mask r-cnn, values": values(small_mask, None, None, frozen=True),
    "small ssd, values": values(small_ssd, frozen=False),
}, indent=1))

#!/usr/bin/env python3
"""Makes OptimizerReference.swift: what torch.optim does to four numbers in five steps.

Run with any PyTorch: python3 optimizers.py > ../OptimizerReference.swift
The gradient of 0.5 * sum(c * (x - t)^2) is c * (x - t), so that the steps differ.
"""

import torch

START = [1.0, -2.0, 0.5, 3.0]
C = torch.tensor([1.0, 0.5, 2.0, 0.1])
T = torch.tensor([0.0, 1.0, -1.0, 2.0])

CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "rmspropMomentum": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5, weight_decay=0.01),
}


def schedule(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


SCHEDULES = {
    "oneCycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=20),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=6, gamma=0.1),
    "milestones": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[3, 9], gamma=0.5),
}

print("// What torch.optim does, from Reference/optimizers.py with PyTorch", torch.__version__.split("+")[0] + ".")
print()
print("enum OptimizerReference {")
for name, make in CASES.items():
    x = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([x])
    for _ in range(5):
        optimizer.zero_grad()
        (0.5 * C * (x - T) ** 2).sum().backward()
        optimizer.step()
    print(f"  static let {name}: [Float] = [{', '.join(f'{v:.8g}' for v in x.tolist())}]")
for name, make in SCHEDULES.items():
    values = [f"{v:.8g}" for v in schedule(make, 20)]
    print(f"  static let {name}: [Double] = [")
    for i in range(0, 20, 10):
        print("    " + ", ".join(values[i : i + 10]) + ",")
    print("  ]")
print("}")

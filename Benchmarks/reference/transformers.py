#!/usr/bin/env python3
"""Reference losses and gradients of the Transformer, GNMT and BERT models, by PyTorch's own layers.

Needs `pip install torch`. Prints one JSON object; the Swift tests carry its values. Every number of a parameter is
0.7 sin(0.37 i + p), of which i counts within the parameter and p is the sum of its name's bytes modulo 97. Names are
those of the Swift models; dropout is off.
"""
import json
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_default_dtype(torch.float64)


def values(name, *shape):
    phase = sum(name.encode()) % 97
    return 0.7 * torch.sin(0.37 * torch.arange(math.prod(shape)) + phase).reshape(shape)


class Named:
    """Parameters by name, made when they are first asked for."""

    def __init__(self):
        self.all = {}

    def __call__(self, name, *shape):
        if name not in self.all:
            self.all[name] = values(name, *shape).requires_grad_()
        return self.all[name]

    def gradients(self):
        norm = lambda x: 0.0 if x.grad is None else x.grad.norm().item()
        return {"total": math.sqrt(sum(norm(x) ** 2 for x in self.all.values())),
                **{name: norm(self.all[name]) for name in list(self.all)[:: max(1, len(self.all) // 4)]}}


def linear(p, name, x, inputs, outputs, bias=True):
    return F.linear(x, p(name + ".weight", outputs, inputs), p(name + ".bias", outputs) if bias else None)


def norm(p, name, x, epsilon):
    return F.layer_norm(x, x.shape[-1:], p(name + ".weight", x.shape[-1]), p(name + ".bias", x.shape[-1]), epsilon)


def attention(p, name, x, memory, heads, bias, padding=None, causal=None):
    d = x.shape[-1]
    part = lambda part, rows: (p(f"{name}.{part}.weight", rows, d), p(f"{name}.{part}.bias", rows) if bias else None)
    if memory is None:
        weight, b = part("in_proj", 3 * d)
    else:
        (w1, b1), (w2, b2) = part("in_proj", d), part("memory_proj", 2 * d)
        weight, b = torch.cat([w1, w2]), torch.cat([b1, b2]) if bias else None
    out, out_bias = part("out_proj", d)
    y = x.transpose(0, 1)
    m = y if memory is None else memory.transpose(0, 1)
    return F.multi_head_attention_forward(
        y, m, m, d, heads, weight, b, None, None, False, 0.0, out, out_bias, key_padding_mask=padding,
        attn_mask=causal, need_weights=False)[0].transpose(0, 1)


def stack(p, name, x, layers, heads, hidden, before, bias, activation, epsilon, padding=None, memory=None):
    d = x.shape[-1]
    causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if memory is not None else None
    for i in range(layers):
        at = f"{name}.layers.{i}"

        def around(number, block, x=None):
            n = lambda y: norm(p, f"{at}.residual{number}.norm", y, epsilon)
            return x + block(n(x)) if before else n(x + block(x))

        x = around(1, lambda y: attention(
            p, at + ".self_attn", y, None, heads, bias, padding if memory is None else None, causal), x)
        if memory is not None:
            x = around(2, lambda y: attention(p, at + ".memory_attn", y, memory, heads, bias, padding), x)
        x = around(2 if memory is None else 3, lambda y: linear(
            p, at + ".feed_forward.linear2",
            activation(linear(p, at + ".feed_forward.linear1", y, d, hidden)), hidden, d), x)
    return norm(p, name + ".norm", x, epsilon) if before else x


SOURCE = torch.tensor([[4, 7, 5, 3], [6, 8, 3, 0]])
TARGET = torch.tensor([[2, 5, 4, 6], [2, 7, 0, 0]])
NEXT = torch.tensor([[5, 4, 6, 3], [7, 3, 0, 0]])


def smoothed(logits):
    return F.cross_entropy(logits.flatten(0, 1), NEXT.flatten(), label_smoothing=0.1, ignore_index=0)


def transformer(big):
    p, d, heads, hidden, layers = Named(), 8, 2, 12, 2
    tables = ["source_embedding"] * 2 if big else ["source_embedding", "target_embedding"]
    table = lambda i: p(tables[i] + ".weight", 9, d)
    angle = torch.arange(4)[:, None] * torch.exp(
        -math.log(10000) * torch.arange(d // 2) / (d // 2 - 1 if big else d // 2))
    places = torch.cat([angle.sin(), angle.cos()], 1) if big else torch.stack([angle.sin(), angle.cos()], 2).flatten(1)
    embed = lambda i, x: F.embedding(x, table(i), padding_idx=0) * (math.sqrt(d) if big else 1) + places
    arguments = (layers, heads, hidden, big, not big, F.relu, 1e-6 if big else 1e-5, SOURCE == 0)
    memory = stack(p, "encoder", embed(0, SOURCE), *arguments)
    x = stack(p, "decoder", embed(1, TARGET), *arguments, memory)
    loss = smoothed(F.linear(x * (1 if big else d ** -0.5), table(1)))
    loss.backward()
    return {"loss": loss.item(), "gradients": p.gradients()}


def lstm(p, name, x, width, lengths=None):
    layer = nn.LSTM(x.shape[2], width, batch_first=True)
    shapes = {k: tuple(v.shape) for k, v in layer.named_parameters()}
    weights = {k: p(f"{name}.{k}", *shape) for k, shape in shapes.items()}
    if lengths is None:
        return torch.func.functional_call(layer, weights, (x,))[0]
    packed = pack_padded_sequence(x, lengths, batch_first=True)
    return pad_packed_sequence(torch.func.functional_call(layer, weights, (packed,))[0], batch_first=True)[0]


def gnmt():
    p, d, layers, lengths = Named(), 8, 3, [4, 3]
    embed = lambda x: F.embedding(x, p("embedding.weight", 9, d), padding_idx=0)
    flip = lambda x: torch.stack([torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x, lengths)])
    x = embed(SOURCE)
    y = torch.cat([lstm(p, "encoder_forward", x, d, lengths), flip(lstm(p, "encoder_backward", flip(x), d, lengths))], 2)
    for i in range(layers - 1):
        z = lstm(p, f"encoder.{i}", y, d, lengths)
        y = z if i == 0 else z + y
    q = lstm(p, "query", embed(TARGET), d)
    v = p("attention.linear_att", d)
    v = v / v.norm() * p("attention.normalize_scalar", 1)
    sums = (linear(p, "attention.linear_q", q, d, d, False).unsqueeze(2)
            + linear(p, "attention.linear_k", y, d, d, False).unsqueeze(1) + p("attention.normalize_bias", d))
    scores = (torch.tanh(sums) @ v).masked_fill((SOURCE == 0).unsqueeze(1), -65504)
    context = scores.softmax(-1) @ y
    x = q
    for i in range(layers - 1):
        z = lstm(p, f"decoder.{i}", torch.cat([x, context], 2), d)
        x = z if i == 0 else z + x
    loss = smoothed(linear(p, "classifier", x, d, 9))
    loss.backward()
    return {"loss": loss.item(), "gradients": p.gradients()}


def bert():
    p, d = Named(), 8
    tokens = torch.tensor([[2, 7, 4, 3, 5, 3], [2, 4, 3, 6, 3, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]])
    x = (p("word_embeddings.weight", 9, d)[tokens] + p("token_type_embeddings.weight", 2, d)[segments]
         + p("position_embeddings.weight", 6, d))
    x = stack(p, "encoder", norm(p, "norm", x, 1e-12), 2, 2, 12, False, True, F.gelu, 1e-12, tokens == 0)
    places = x.flatten(0, 1)[torch.tensor([2, 4, 7])]
    hidden = norm(p, "transform_norm", F.gelu(linear(p, "transform", places, d, d)), 1e-12)
    logits = F.linear(hidden, p("word_embeddings.weight", 9, d), p("decoder_bias", 9))
    pooled = torch.tanh(linear(p, "pooler", x[:, 0], d, d))
    loss = (F.cross_entropy(logits, torch.tensor([8, 5, 6]))
            + F.cross_entropy(linear(p, "seq_relationship", pooled, d, 2), torch.tensor([1, 0])))
    loss.backward()
    return {"loss": loss.item(), "gradients": p.gradients()}


print(json.dumps({
    "torch": torch.__version__, "transformer, base": transformer(False), "transformer, big": transformer(True),
    "gnmt": gnmt(), "bert": bert()}, indent=1))

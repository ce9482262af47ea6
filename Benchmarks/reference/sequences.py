#!/usr/bin/env python3
"""Reference losses and gradients of the models for speech, captions and headlines, by PyTorch itself.

Needs `pip install torch` (any CPU wheel from 2.1 on). Builds each model tiny, from PyTorch's own layers and in the
words of the papers, with values that a formula gives to every parameter and input, and prints the loss and the norm of
each parameter's gradient. SequenceReferenceTests.swift carries these numbers.
"""
import torch
from torch import nn
from torch.nn import functional as F


def values(count, number, scale):
    """The same numbers as the Swift test makes: a sawtooth of integers."""
    return torch.tensor([((j * 7919 + number * 104729) % 2003 / 2003 - 0.5) * scale for j in range(count)])


def fill(model, scale):
    for number, (name, p) in enumerate(sorted(model.named_parameters())):
        is_scale = name.endswith("weight") and p.dim() == 1
        with torch.no_grad():
            p.copy_((values(p.numel(), number, scale) + (1 if is_scale else 0)).view(p.shape))


def report(title, model, loss):
    model.zero_grad()
    loss.backward()
    print(title, "loss", f"{loss.item():.6f}")
    for name, p in sorted(model.named_parameters()):
        print(f'      ("{name}", {p.grad.norm().item():.5e}),')


class SpeechConvolution(nn.Module):
    def __init__(self, i, o, kernel, stride):
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, (kernel[0] // 2, kernel[1] // 2))
        self.bn = nn.BatchNorm2d(o)

    def forward(self, x, mask):
        x = self.conv(x).masked_fill(mask, 0)
        return F.hardtanh(self.bn(x).masked_fill(mask, 0), 0, 20)


class SpeechRecurrence(nn.Module):
    def __init__(self, i, h, first):
        super().__init__()
        self.batch_norm = None if first else nn.BatchNorm1d(i)
        self.rnn = nn.GRU(i, h, bidirectional=True)

    def forward(self, x, lengths):
        t, n, _ = x.shape
        if self.batch_norm is not None:
            x = self.batch_norm(x.view(t * n, -1)).view(t, n, -1)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths)
        y, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], total_length=t)
        return y.view(t, n, 2, -1).sum(2)


class DeepSpeech2(nn.Module):
    def __init__(self, bins, channels, kernels, hidden, layers):
        super().__init__()
        self.conv = nn.ModuleList([
            SpeechConvolution(1, channels, kernels[0], (2, 2)), SpeechConvolution(channels, channels, kernels[1], (2, 1))])
        for _ in range(2):
            bins = (bins - 1) // 2 + 1
        self.rnns = nn.ModuleList(
            [SpeechRecurrence(channels * bins if k == 0 else hidden, hidden, k == 0) for k in range(layers)])
        self.bn = nn.BatchNorm1d(hidden)
        self.fc = nn.Linear(hidden, 29, bias=False)

    def forward(self, x, lengths):
        frames = (x.shape[3] - 1) // 2 + 1
        mask = (torch.arange(frames)[None, :] >= torch.tensor(lengths)[:, None])[:, None, None, :]
        for conv in self.conv:
            x = conv(x, mask)
        x = x.flatten(1, 2).permute(2, 0, 1).contiguous()
        for rnn in self.rnns:
            x = rnn(x, lengths)
        t, n, _ = x.shape
        return self.fc(self.bn(x.view(t * n, -1))).view(t, n, -1).log_softmax(2)


def speech():
    model = DeepSpeech2(21, 2, [(5, 3), (3, 3)], 4, 2)
    fill(model, 0.8)
    x = values(2 * 21 * 13, 50, 2).view(2, 1, 21, 13)
    targets = torch.tensor([[3, 3, 28], [5, 1, 0]])
    out = model(x, [7, 5])
    loss = F.ctc_loss(out, targets, [7, 5], [3, 2], reduction="sum", zero_infinity=True) / 2
    report("speech", model, loss)


class CaptionGenerator(nn.Module):
    def __init__(self, features, embedding, hidden, words):
        super().__init__()
        self.linear = nn.Linear(features, embedding)
        self.bn = nn.BatchNorm1d(embedding, momentum=0.01)
        self.embed = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.output = nn.Linear(hidden, words)

    def forward(self, features, words, lengths):
        x = torch.cat([self.bn(self.linear(features)).unsqueeze(1), self.embed(words)], 1)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.output(self.lstm(packed)[0].data)


def captions():
    model = CaptionGenerator(6, 5, 4, 9)
    fill(model, 3)
    features = values(3 * 6, 50, 2).view(3, 6)
    words = torch.tensor([[4, 5, 6], [7, 8, 0], [4, 0, 0]])
    # Captions 4 5 6, 7 8 and 4, each with its end, in the order of a packed sequence.
    targets = torch.tensor([4, 7, 4, 5, 8, 2, 6, 2, 2])
    report("captions", model, F.cross_entropy(model(features, words, [4, 3, 2]), targets))


class PointerGenerator(nn.Module):
    """See et al. 2017 and Paulus et al. 2018, equation by equation, without a step taken from the Swift code."""

    def __init__(self, words, embedding, hidden):
        super().__init__()
        self.words, self.hidden = words, hidden
        h = hidden
        self.embeds = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, h, batch_first=True, bidirectional=True)
        self.reduce_h, self.reduce_c = nn.Linear(2 * h, h), nn.Linear(2 * h, h)
        self.enc_attention = nn.ModuleDict(
            {"W_h": nn.Linear(2 * h, 2 * h, bias=False), "W_s": nn.Linear(2 * h, 2 * h), "v": nn.Linear(2 * h, 1, bias=False)})
        self.dec_attention = nn.ModuleDict(
            {"W_prev": nn.Linear(h, h, bias=False), "W_s": nn.Linear(h, h), "v": nn.Linear(h, 1, bias=False)})
        self.x_context = nn.Linear(2 * h + embedding, embedding)
        self.cell = nn.LSTMCell(embedding, h)
        self.p_gen_linear = nn.Linear(5 * h + embedding, 1)
        self.V, self.V1 = nn.Linear(4 * h, h), nn.Linear(h, words)

    def forward(self, text, extended, lengths, extra, inputs, targets):
        n, longest = text.shape
        packed = nn.utils.rnn.pack_padded_sequence(self.embeds(text), lengths, batch_first=True)
        out, (h, c) = self.lstm(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=longest)
        h = F.relu(self.reduce_h(torch.cat([h[0], h[1]], 1)))
        c = F.relu(self.reduce_c(torch.cat([c[0], c[1]], 1)))
        context = torch.zeros(n, 2 * self.hidden)
        past_exp, past_h, total, count = None, [], 0, 0
        for t in range(targets.shape[1]):
            x = self.x_context(torch.cat([self.embeds(inputs[:, t]), context], 1))
            h, c = self.cell(x, (h, c))
            s = torch.cat([h, c], 1)
            a = self.enc_attention
            e = torch.stack([a["v"](torch.tanh(a["W_h"](states[:, i]) + a["W_s"](s)))[:, 0] for i in range(longest)], 1).exp()
            weights = e if past_exp is None else e / past_exp
            past_exp = e + 1e-10 if past_exp is None else past_exp + e
            weights = weights * torch.tensor([[float(i < m) for i in range(longest)] for m in lengths])
            weights = weights / weights.sum(1, keepdim=True)
            context = torch.einsum("ni,nik->nk", weights, states)
            d = self.dec_attention
            own = torch.zeros_like(h)
            if past_h:
                scores = torch.stack([d["v"](torch.tanh(d["W_prev"](p) + d["W_s"](h)))[:, 0] for p in past_h], 1).softmax(1)
                own = sum(scores[:, i:i + 1] * p for i, p in enumerate(past_h))
            past_h.append(h)
            p_gen = self.p_gen_linear(torch.cat([context, own, s, x], 1)).sigmoid()
            vocabulary = self.V1(self.V(torch.cat([h, context, own], 1))).softmax(1)
            p = torch.zeros(n, self.words + extra)
            p = torch.cat([p_gen * vocabulary, torch.zeros(n, extra)], 1).scatter_add(1, extended, (1 - p_gen) * weights)
            for k in range(n):
                if targets[k, t] != 0:
                    total = total - (p[k, targets[k, t]] + 1e-12).log()
                    count += 1
        return total / count


def headlines():
    model = PointerGenerator(8, 4, 3)
    fill(model, 3)
    extended = torch.tensor([[4, 8, 5, 6, 9], [7, 8, 4, 0, 0]])
    text = torch.tensor([[4, 3, 5, 6, 3], [7, 3, 4, 0, 0]])
    inputs = torch.tensor([[1, 3, 5, 6], [1, 7, 3, 0]])
    targets = torch.tensor([[8, 5, 6, 2], [7, 8, 2, 0]])
    report("headlines", model, model(text, extended, [5, 3], 2, inputs, targets))


def spectrogram():
    """Of a hundred samples at window 16 and hop 8; every 23rd value."""
    x = torch.tensor([float((j * 7919) % 2003 - 1001) for j in range(100)])
    k = torch.arange(16)
    window = 0.54 - 0.46 * torch.cos(2 * torch.pi * k / 15)
    s = torch.stft(x / 32767, 16, 8, 16, window, center=True, pad_mode="reflect", return_complex=True).abs().log1p()
    s = (s - s.mean()) / s.std()
    print("spectrogram", list(s.shape), [round(v, 5) for v in s.flatten()[::23].tolist()])


torch.manual_seed(1)
speech()
captions()
headlines()
spectrogram()

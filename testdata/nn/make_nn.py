#!/usr/bin/env python3
"""Makes the NeuralNetworks of this folder that were not found in the world, and shapes.json.

    make_nn.py        needs coremltools 9.0 and torch 2.7; writes beside itself

Small torch modules with seeded weights, converted to NeuralNetworks; shapes.json holds the extents of their outputs
as torch computes them, -1 where they follow a flexible input.
"""
import json
import pathlib

import coremltools as ct
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent


class Gru(nn.Module):
    """The converter writes a loop for it, which grows nothing and counts."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x):
        y, h = self.gru(x)
        return y, h


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.one = nn.LSTM(8, 5, batch_first=True)

    def forward(self, x):
        y, _ = self.both(x)
        y, (h, c) = self.one(y)
        return y, h, c


class Image(nn.Module):
    """Convolution, pooling to the last pixel, upsampling and a deconvolution, over a plane of any size."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.two = nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x):
        y = F.max_pool2d(F.relu6(self.one(x)), 3, 1, 1)
        y = self.two(y)
        return F.interpolate(y, scale_factor=2.0, mode="nearest"), y.mean((2, 3))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 6)

    def forward(self, ids):
        x = self.norm(self.table(ids))
        q, k, v = (t.reshape(2, 5, 2, 4).transpose(1, 2) for t in self.qkv(x).split(8, -1))
        a = (q @ k.transpose(-1, -2) / 2.0).softmax(-1)
        y = (a @ v).transpose(1, 2).reshape(2, 5, 8)
        return F.gelu(self.out(y)), torch.topk(y, 3)[0]


H, W = ct.RangeDim(8, 64, 9), ct.RangeDim(8, 64, 14)
MODELS = {
    "gru": (Gru(), torch.zeros(2, 6, 3), None, ["y", "h"]),
    "lstm": (Lstm(), torch.zeros(2, 6, 3), None, ["y", "h", "c"]),
    "image": (Image(), torch.zeros(1, 3, 9, 14), ct.Shape((1, 3, H, W)), ["y", "mean"]),
    "attention": (Attention(), torch.zeros(2, 5, dtype=torch.long), None, ["y", "top"]),
}

if __name__ == "__main__":
    shapes = {}
    for name, (module, x, flexible, outputs) in MODELS.items():
        torch.manual_seed(3)
        module.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
        module.eval()
        traced = torch.jit.trace(module, x)
        inputs = [ct.TensorType(name="x", shape=flexible or x.shape, dtype=int if x.dtype == torch.long else float)]
        model = ct.convert(traced, convert_to="neuralnetwork", inputs=inputs, outputs=[ct.TensorType(name=n) for n in outputs])
        path = HERE / f"{name}.mlmodel"
        path.write_bytes(model.get_spec().SerializeToString(deterministic=True))
        with torch.no_grad():
            made = [list(y.shape) for y in module(x)]
            other = [list(y.shape) for y in module(x.new_zeros(1, 3, 16, 33))] if flexible else made
        shapes[path.name] = {n: [a if a == b else -1 for a, b in zip(s, t)] for n, s, t in zip(outputs, made, other)}
    text = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in shapes.items())
    (HERE / "shapes.json").write_text(f"{{\n{text}\n}}\n")

"""Makes the models of this folder: small networks whose extents are open, with seeded weights.

Run with coremltools 9.0 and torch 2.7: python make_flexible.py

shapes.json holds, for each model and for several sizes of its open extents (in the order of the inputs), the extents of
the outputs that torch computes.
"""

import json
import pathlib
import shutil

import coremltools as ct
import numpy as np
import torch
import torch.nn as nn

FOLDER = pathlib.Path(__file__).parent


class Attention(nn.Module):
    """Positions cut from a table, heads split and joined by computed shapes, a causal mask."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(24, 72), nn.Linear(24, 24), nn.LayerNorm(24)
        self.positions = nn.Parameter(torch.randn(1, 50, 24))

    def forward(self, x):
        b, n, c = x.shape
        x = x + self.positions[:, :n]
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 4, 6).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-1, -2) / 6**0.5
        mask = torch.tril(torch.ones(n, n))
        weights = scores.masked_fill(mask == 0, float("-inf")).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, c))


class Shift(nn.Module):
    """Neighbours, and every second one, along an open axis."""

    def forward(self, x):
        d = x[:, 1:] - x[:, :-1]
        return torch.cat([d, x[:, -1:]], 1) * x, d[:, ::2], x[:, x.shape[1] // 2 :]


class Tokens(nn.Module):
    """An image as a sequence, and a row of zeros before it."""

    def forward(self, x):
        b, c = x.shape[:2]
        t = x.view(b, c, x.shape[2] * x.shape[3]).transpose(1, 2)
        return torch.cat([torch.zeros(b, 1, c), t], 1) + torch.ones(x.shape[2] * x.shape[3] + 1, 1)


class Expand(nn.Module):
    """One row repeated for as many as the other input has."""

    def forward(self, x, y):
        rows = x.unsqueeze(1).expand(-1, y.shape[1], -1) * y
        return torch.stack([rows, rows.flip(1)], -1).reshape(x.shape[0], -1)


class Mask(nn.Module):
    """Positions below a length that comes in as a number."""

    def forward(self, x, length):
        below = torch.arange(x.shape[1])[None] < length[:, None]
        return x * below.float()[..., None]


class Down(nn.Module):
    """Two strided convolutions, enlarged again."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 4, 4, 2)

    def forward(self, x):
        y = self.b(torch.relu(self.a(x)))
        return nn.functional.interpolate(y, scale_factor=2.0), y.mean((2, 3))


class Sequence(nn.Module):
    """Embedding and a recurrent layer over an open length."""

    def __init__(self):
        super().__init__()
        self.table, self.lstm = nn.Embedding(30, 5), nn.LSTM(5, 6, batch_first=True, bidirectional=True)

    def forward(self, i):
        return self.lstm(self.table(i))[0]


R, X = ct.RangeDim, ct.TensorType
CASES = {
    "attention": (Attention, [X("x", shape=(R(1, 4), R(2, 50, default=7), 24))], [(2, 7), (1, 50), (4, 3)], lambda b, n: [torch.randn(b, n, 24)]),
    "shift": (Shift, [X("x", shape=(1, R(2, 50), 4))], [(7,), (2,), (12,)], lambda n: [torch.randn(1, n, 4)]),
    "tokens": (Tokens, [X("x", shape=(R(1, 4), 3, R(2, 50), R(2, 50)))], [(2, 4, 5), (1, 2, 9)], lambda b, h, w: [torch.randn(b, 3, h, w)]),
    "expand": (Expand, [X("x", shape=(R(1, 4), 4)), X("y", shape=(R(1, 4), R(1, 9), 4))], [(2, 2, 7), (3, 3, 1)], lambda b, c, n: [torch.randn(b, 4), torch.randn(c, n, 4)]),
    "mask": (Mask, [X("x", shape=(1, R(2, 50), 4)), X("length", shape=(1,), dtype=np.int32)], [(7,), (9,)], lambda n: [torch.randn(1, n, 4), torch.tensor([3])]),
    "down": (Down, [X("x", shape=(1, 3, R(16, 90), R(16, 90)))], [(32, 48), (17, 90), (21, 22)], lambda h, w: [torch.randn(1, 3, h, w)]),
    "sequence": (Sequence, [X("i", shape=(1, R(1, 50)), dtype=np.int32)], [(7,), (1,)], lambda n: [torch.randint(0, 30, (1, n))]),
}
TARGETS = {"iOS15": ct.target.iOS15, "iOS17": ct.target.iOS17}


def main():
    shapes = {}
    for name, (network, inputs, sizes, sample) in CASES.items():
        torch.manual_seed(0)
        network = network().eval()
        traced = torch.jit.trace(network, sample(*sizes[0]))
        for target, version in TARGETS.items():
            path = FOLDER / f"{name}-{target}.mlpackage"
            shutil.rmtree(path, ignore_errors=True)
            ct.convert(traced, inputs=inputs, minimum_deployment_target=version, skip_model_load=True).save(str(path))
            rows = []
            for size in sizes:
                out = network(*sample(*size))
                out = out if isinstance(out, tuple) else (out,)
                rows.append([list(size), [list(o.shape) for o in out]])
            shapes[path.name] = rows
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in shapes.items()]
    (FOLDER / "shapes.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()

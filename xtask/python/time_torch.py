#!/usr/bin/env python3
"""A network in torch, for comparing forward passes: resnet18, distilbert or unet.

    time_torch.py NETWORK FOLDER THREADS

Writes NETWORK.mlpackage (converted by coremltools, fp32), NETWORK.inputs.npz and NETWORK.outputs.npz (torch's results) to
FOLDER, prints `ready`, and then for every line of the standard input the seconds of one forward pass. Weights are
random from a seed. Besides coremltools this needs torch, torchvision and transformers.
"""
import contextlib
import logging
import os
import pathlib
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def resnet18(rng):
    import torchvision

    x = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
    return torchvision.models.resnet18(weights=None), {"x": x}


def distilbert(rng):
    """66 million parameters: 6 layers of 768, feed-forward 3072, 12 heads; 128 tokens of which 100 count."""
    import transformers

    config = transformers.DistilBertConfig(attn_implementation="eager")
    base = transformers.DistilBertModel(config)

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = base

        def forward(self, ids, mask):
            return self.base(ids, attention_mask=mask)[0]

    ids = rng.integers(1, config.vocab_size, (1, 128), dtype=np.int32)
    mask = np.ones((1, 128), np.int32)
    mask[:, 100:] = 0
    return Hidden(), {"ids": ids, "mask": mask}


class Block(nn.Sequential):
    """3x3 convolution, normalisation, activation."""

    def __init__(self, inputs, outputs, activation):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), activation()
        )


class UNet(nn.Module):
    """The shape of the corpus' UNet: wide pools on the way down, fourfold upsampling of each kind on the way up."""

    def __init__(self, width=24):
        super().__init__()
        self.down = nn.ModuleList(
            [
                Block(3, width, nn.ReLU),
                Block(width, 2 * width, nn.LeakyReLU),
                Block(2 * width, 4 * width, nn.ELU),
            ]
        )
        self.overall = nn.Conv2d(4 * width, 4 * width, 1)
        self.rise = nn.ConvTranspose2d(4 * width, 2 * width, 4, 4)
        self.up = nn.ModuleList([Block(4 * width, width, nn.ReLU), Block(2 * width, width, nn.GELU)])
        self.bend = nn.PReLU(width)
        self.last = nn.Conv2d(width, 5, 1)

    def forward(self, x):
        fine = self.down[0](x)
        middle = self.down[1](F.max_pool2d(fine, 4))
        coarse = self.down[2](F.avg_pool2d(middle, 4))
        widest = F.max_pool2d(fine, 32, 32).mean(1, keepdim=True)
        coarse = coarse + self.overall(F.avg_pool2d(coarse, 16)) + F.interpolate(widest, size=(16, 16))
        coarse = coarse + F.max_pool2d(coarse, 13, 1, 6)
        y = self.up[0](torch.cat((self.rise(coarse), middle), 1))
        y = F.interpolate(y, scale_factor=4.0, mode="bilinear", align_corners=False)
        y = self.last(self.bend(self.up[1](torch.cat((y, fine), 1))))
        small = F.interpolate(y, scale_factor=0.25, mode="bilinear", align_corners=False)
        return torch.tanh(y) + F.interpolate(small, scale_factor=4.0)


def unet(rng):
    return UNet(), {"x": rng.standard_normal((1, 3, 256, 256)).astype(np.float32)}


NETWORKS = {"resnet18": resnet18, "distilbert": distilbert, "unet": unet}


@torch.inference_mode()
def main(network, folder, threads):
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    module, inputs = NETWORKS[network](np.random.default_rng(1))
    module.eval()
    args = [torch.from_numpy(a) for a in inputs.values()]
    path = pathlib.Path(folder, network)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
        with torch.inference_mode(False), torch.no_grad():
            traced = torch.jit.trace(module, [a.clone() for a in args], check_trace=False)
        model = ct.convert(
            traced,
            inputs=[ct.TensorType(name=n, shape=a.shape, dtype=a.dtype) for n, a in inputs.items()],
            outputs=[ct.TensorType(name="y")],
            minimum_deployment_target=ct.target.iOS15,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
        model.save(f"{path}.mlpackage")
    del model, traced
    np.savez(f"{path}.inputs.npz", **inputs)
    np.savez(f"{path}.outputs.npz", y=module(*args).numpy())
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        module(*args)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in NETWORKS:
        sys.exit(__doc__.strip().splitlines()[2].strip())
    main(*sys.argv[1:])

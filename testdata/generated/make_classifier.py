"""Makes nn_classifier: a classifier of images as a converter wrote it that put `addBroadcastable` where `add` would do.

    python make_classifier.py

Its inputs are images in the older mapping, and its outputs a label and probabilities: once the newer layer is gone, the
network means the same in the older reading of all tensors as `[Seq, B, C, H, W]`, and its specification can be an older
one. outputs.npz holds the probabilities that torch computes. Needs coremltools 9.0 and torch 2.7.
"""

import logging
import pathlib
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

FOLDER = pathlib.Path(__file__).parent / "nn_classifier"
LABELS = ["ash", "beech", "elm", "oak"]


def draw(seed, *shape):
    return np.random.default_rng(seed).integers(-64, 64, shape).astype(np.float32) / 64


def main():
    image = np.random.default_rng(71).integers(0, 256, (2, 7, 9, 3), dtype=np.uint8)
    kernel, bias, dense, offset = draw(72, 5, 3, 3, 3), draw(73, 5), draw(74, 4, 5), draw(75, 4)
    b = NeuralNetworkBuilder([("image", datatypes.Array(3, 7, 9))], [("probabilities", None)], mode="classifier",
                             disable_rank5_shape_mapping=False)
    b.add_convolution("conv", 3, 5, 3, 3, 1, 1, "same", 1, kernel.transpose(2, 3, 1, 0), bias, True,
                      input_name="image", output_name="conv")
    b.add_activation("relu", "RELU", "conv", "relu")
    b.add_add_broadcastable("sum", ["conv", "relu"], "sum")
    b.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", "sum", "pool", is_global=True)
    b.add_inner_product("dense", dense, offset, 5, 4, True, "pool", "dense")
    b.add_softmax("softmax", "dense", "probabilities")
    b.set_pre_processing_parameters(image_input_names=["image"], is_bgr=False, red_bias=-1.0, green_bias=-0.5,
                                    blue_bias=0.25, image_scale=1 / 64)
    b.set_class_labels(LABELS, predicted_feature_name="tree", prediction_blob="probabilities")
    b.spec.specificationVersion = 4
    FOLDER.mkdir(exist_ok=True)
    ct.models.utils.save_spec(b.spec, str(FOLDER / "nn.mlmodel"))

    x = torch.from_numpy(image.transpose(0, 3, 1, 2).astype(np.float32)) / 64 + torch.tensor([-1.0, -0.5, 0.25])[:, None, None]
    y = F.conv2d(x, torch.from_numpy(kernel), torch.from_numpy(bias), padding=1)
    y = (y + y.relu()).mean((2, 3)) @ torch.from_numpy(dense).T + torch.from_numpy(offset)
    np.savez(FOLDER / "inputs.npz", image=image)
    np.savez(FOLDER / "outputs.npz", probabilities=y.softmax(1).numpy())
    print(y.softmax(1).numpy())


main()

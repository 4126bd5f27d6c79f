"""The frame of make_generated.py and of the files of cases beside it: cases, numbers for them, a builder of networks."""

import logging
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
import numpy as np  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

CASES = {}


def case(build):
    CASES[build.__name__] = build
    return build


def draw(seed, *shape):
    """Multiples of 1/64 in [-2, 2), which 16-bit floats hold exactly."""
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.float32) / 64


class Network:
    """A builder with short names for the layers that the cases use; layers are named as their outputs."""

    def __init__(self, outputs, images=None, **inputs):
        features = [(k, datatypes.Array(*v.shape)) for k, v in inputs.items()]
        if images:
            features = [(k, datatypes.Array(3, *v.shape[1:3])) for k, v in images.items()]
        self.b = NeuralNetworkBuilder(features, [(o, None) for o in outputs], disable_rank5_shape_mapping=not images)
        self.spec = self.b.spec
        for f in self.spec.description.input:
            if images:
                height, width = images[f.name].shape[1:3]
                f.type.imageType.height, f.type.imageType.width = height, width
                f.type.imageType.colorSpace = f.type.imageType.RGB
        if images:
            self.spec.specificationVersion = 4

    def constant(self, name, value):
        self.b.add_load_constant_nd(name, name, value, value.shape)

    def pair(self, kind, name, x, y):
        getattr(self.b, f"add_{kind}_broadcastable")(name, [x, y], name)

    def variants(self):
        made = {"nn": ct.models.MLModel(self.spec, skip_model_load=True)}
        half = type(self.spec)()
        half.CopyFrom(self.spec)
        for layer in half.neuralNetwork.layers:
            if layer.WhichOneof("layer") == "loadConstantND":
                data = layer.loadConstantND.data
                data.float16Value = np.array(data.floatValue, dtype=np.float16).tobytes()
                data.ClearField("floatValue")
                made["nn-fp16w"] = ct.models.MLModel(half, skip_model_load=True)
        return made

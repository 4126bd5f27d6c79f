"""Writes elementwise_layers.tsv: for which pairs of shapes coremltools' converter uses the older NeuralNetwork layers.

    python elementwise_layers.py > elementwise_layers.tsv

Columns: two shapes, and the order in which `add` and `multiply` get the inputs (`xy` or `yx`), or `broadcasting`
where the broadcasting layers are used. Needs coremltools 9.0.
"""
import itertools
import logging

import coremltools as ct
from coremltools.converters.mil import Builder as mb

logging.disable(logging.WARNING)

# asymmetric extents, with ones in every place; ranks 1 to 5
SHAPES = [
    (1,), (5,), (4, 5), (1, 5), (4, 1), (3, 4, 5), (3, 1, 1), (1, 4, 5), (1, 1, 5), (3, 1, 5), (3, 4, 1),
    (2, 3, 4, 5), (2, 1, 1, 1), (1, 3, 1, 1), (2, 3, 1, 1), (1, 1, 4, 5), (2, 1, 4, 5), (1, 3, 4, 5), (1, 1, 1, 1),
    (6, 2, 3, 4, 5), (1, 1, 3, 1, 1), (1, 2, 3, 4, 5), (6, 1, 1, 1, 1),
]


def inputs(kind, x, y):
    """The order of the inputs of the layer for `kind`, `broadcasting` for a broadcasting one."""
    @mb.program(input_specs=[mb.TensorSpec(shape=x), mb.TensorSpec(shape=y)])
    def program(x, y):
        return getattr(mb, kind)(x=x, y=y, name="z")

    spec = ct.convert(program, convert_to="neuralnetwork", minimum_deployment_target=ct.target.iOS14).get_spec()
    last = spec.neuralNetwork.layers[-1]
    if last.WhichOneof("layer").endswith("Broadcastable"):
        return "broadcasting"
    return "".join(name[-1] for name in last.input)


def broadcast(x, y):
    pairs = itertools.zip_longest(reversed(x), reversed(y), fillvalue=1)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def main():
    text = lambda s: ",".join(map(str, s))
    for x, y in itertools.product(SHAPES, SHAPES):
        if broadcast(x, y):
            order = inputs("add", x, y)
            assert inputs("mul", x, y) == order
            print(text(x), text(y), order, sep="\t")


if __name__ == "__main__":
    main()

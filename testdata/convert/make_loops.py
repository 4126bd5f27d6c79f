"""Makes nn_loops.mlmodel beside this file, with coremltools 9.0, and prints what a transcript in numpy gives.

    python make_loops.py
"""

import os

import coremltools as ct
import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

HERE = os.path.dirname(os.path.abspath(__file__))


def inside(network):
    return NeuralNetworkBuilder(nn_spec=network, disable_rank5_shape_mapping=True)


def network():
    """A loop whose condition network writes a blob, left by a break and a continue in branches; a blob that the loop alone
    makes; a loop by count around one that is left."""
    inputs = [("x", datatypes.Array(4)), ("limit", datatypes.Array(1)), ("stop", datatypes.Array(1))]
    b = NeuralNetworkBuilder(inputs, [("y", None), ("last", None), ("tests", None), ("inner", None)], disable_rank5_shape_mapping=True)
    for name in ("i", "tests", "inner"):
        b.add_load_constant_nd(f"{name}0", name, np.zeros(1), (1,))
    b.add_activation("start", "LINEAR", "x", "y", [1.0, 0.0])
    loop = b.add_loop("loop", condition="go")
    test = inside(loop.loop.conditionNetwork)
    test.add_elementwise("count", ["tests"], "tests_next", "ADD", alpha=1.0)
    test.add_copy("counted", "tests_next", "tests")
    test.add_less_than("less", ["i", "limit"], "go")
    body = inside(loop.loop.bodyNetwork)
    body.add_elementwise("next", ["i"], "i_next", "ADD", alpha=1.0)
    body.add_copy("advance", "i_next", "i")
    body.add_greater_than("far", ["i", "stop"], "is_far")
    leave = inside(body.add_branch("leave", "is_far").branch.ifBranch)
    leave.add_elementwise("hundred", ["y"], "y_far", "ADD", alpha=100.0)
    leave.add_copy("kept", "y_far", "y")
    leave.add_loop_break("break")
    body.add_equal("two", ["i"], "is_two", alpha=2.0)
    skip = inside(body.add_branch("skip", "is_two").branch.ifBranch)
    skip.add_loop_continue("continue")
    body.add_multiply_broadcastable("scaled", ["x", "i"], "last")
    body.add_add_broadcastable("sum", ["y", "last"], "y_next")
    body.add_copy("carry", "y_next", "y")
    outer = inside(b.add_loop("outer", max_iterations=3).loop.bodyNetwork)
    nested = inside(outer.add_loop("nested", max_iterations=5).loop.bodyNetwork)
    nested.add_elementwise("more", ["inner"], "inner_next", "ADD", alpha=1.0)
    nested.add_copy("grown", "inner_next", "inner")
    nested.add_greater_than("enough", ["inner"], "is_enough", alpha=6.0)
    inside(nested.add_branch("end", "is_enough").branch.ifBranch).add_loop_break("ends")
    return b.spec


def transcript(x, limit, stop):
    i = tests = inner = 0
    y, last = x.copy(), None
    while True:
        tests += 1
        if not i < limit:
            break
        i += 1
        if i > stop:
            y = y + 100
            break
        if i == 2:
            continue
        last = x * i
        y = y + last
    for _ in range(3):
        for _ in range(5):
            inner += 1
            if inner > 6:
                break
    return y, last, tests, inner


ct.models.utils.save_spec(network(), os.path.join(HERE, "nn_loops.mlmodel"))
for limit, stop in ((5, 9), (9, 3), (3, 9)):
    print(limit, stop, *transcript(np.array([0.5, -1.0, 2.0, -0.25]), limit, stop))

"""Writes mil_types.json: small programs with the types that coremltools infers for every value.

Run with coremltools 9.0: python mil_types.py > mil_types.json

Each line is one program: its name, opset, inputs (name, element type, extents; null for an unknown one), and ops in
order (kind, operands by parameter, results as the inputs). Constants carry their elements. Where extents are unknown,
`at` has numbers for them and the extents that all results then have. Shapes are neither square nor symmetric, so that
a swapped axis shows.
"""

import json

import numpy as np
from coremltools import target
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types
from coremltools.converters.mil.mil.types.symbolic import is_symbolic, any_variadic

OPSETS = {target.iOS15: "CoreML5", target.iOS16: "CoreML6", target.iOS17: "CoreML7", target.iOS18: "CoreML8"}
i15, i16, i17, i18 = OPSETS
DTYPES = {"h": types.fp16, "f": types.fp32, "i": types.int32, "b": types.bool, "u8": types.uint8, "i16": types.int16, "u16": types.uint16}
CASES = []


def case(name, opset, inputs, build, at=()):
    """inputs: texts like "h2,3,?"; build: from the input Vars to a Var or several; at: numbers for the unknown
    extents, in order, for which the extents of all results are written too."""
    line = dump(name, opset, program(opset, inputs, build, None))
    for numbers in at:
        concrete = dump(name, opset, program(opset, inputs, build, iter(numbers)))
        assert [op.get("kind") for op in line["ops"]] == [op.get("kind") for op in concrete["ops"]]
        results = [r[2] for op in concrete["ops"] for r in op.get("results", [])]
        line.setdefault("at", []).append([numbers, results])
    CASES.append(line)


def program(opset, inputs, build, numbers):
    specs = []
    for text in inputs:
        kind = next(k for k in sorted(DTYPES, key=len, reverse=True) if text.startswith(k))
        dims = [d for d in text[len(kind):].split(",") if d]
        unknown = get_new_symbol if numbers is None else lambda: next(numbers)
        shape = tuple(unknown() if d == "?" else int(d) for d in dims)
        specs.append(mb.TensorSpec(shape=shape, dtype=DTYPES[kind]))
    names = [f"x{i}" for i in range(len(specs))]
    scope = {"build": build}
    exec(f"def main({', '.join(names)}): return build({', '.join(names)})", scope)
    return mb.program(input_specs=specs, opset_version=opset)(scope["main"])


def typed(var):
    if var.dtype is None or types.is_list(var.sym_type):
        raise ValueError(var.name)
    dims = var.shape
    if any_variadic(dims):
        return [var.name, types.builtin_to_string(var.dtype), None]
    return [var.name, types.builtin_to_string(var.dtype), [None if is_symbolic(d) else int(d) for d in dims]]


def elements(value):
    array = np.asarray(value)
    flat = array.reshape(-1).tolist()
    return flat if array.dtype.kind in "USbiu" else [float(x) for x in flat]


def dump(name, opset, program):
    function = program.functions["main"]
    ops = []
    for op in function.operations:
        if op.op_type == "const":
            out = op.outputs[0]
            ops.append({"const": typed(out), "elements": elements(out.val)})
            continue
        operands = []
        for param, value in op.inputs.items():
            if value is not None:
                values = value if isinstance(value, (list, tuple)) else [value]
                operands.append([param, [v.name for v in values]])
        ops.append({"kind": op.op_type, "operands": operands, "results": [typed(v) for v in op.outputs]})
    return {"name": name, "opset": OPSETS[opset], "inputs": [typed(v) for v in function.inputs.values()], "ops": ops}


def elementwise():
    def unary(x, i):
        names = "abs acos asin atan atanh ceil cos cosh erf exp exp2 floor inverse log round rsqrt sign sin sinh sqrt"
        for name in (names + " square tan tanh relu relu6 sigmoid silu softplus softsign").split():
            x = getattr(mb, name)(x=x)
        for name in "elu leaky_relu thresholded_relu threshold".split():
            x = getattr(mb, name)(x=x, alpha=np.float16(0.5))
        for name in "clamped_relu linear_activation scaled_tanh sigmoid_hard clip".split():
            x = getattr(mb, name)(x=x, alpha=np.float16(0.25), beta=np.float16(0.5))
        x = mb.gelu(x=x, mode="TANH_APPROXIMATION")
        x = mb.softmax(x=x, axis=-2)
        x = mb.prelu(x=x, alpha=np.float16([0.1, 0.2, 0.3]))
        x = mb.softplus_parametric(x=x, alpha=np.float16([1, 2, 3]), beta=np.float16([3, 2, 1]))
        x = mb.identity(x=x)
        i = mb.sign(x=mb.square(x=mb.abs(x=i)))
        b = mb.cast(x=i, dtype="bool")
        return x, mb.logical_not(x=b), mb.cast(x=x, dtype="int32"), mb.cast(x=i, dtype="fp16")

    case("unary", i15, ["h2,3,5,7", "i4,1"], unary)
    case("unary_17", i17, ["h?,3,5,7", "i4,1"], unary, at=[[4]])
    case("cast_17", i17, ["h2,3"], lambda x: [mb.cast(x=x, dtype=d) for d in ("int8", "uint8", "int16", "uint16", "bool")])
    case("scalar", i15, ["f1"], lambda x: mb.relu(x=mb.squeeze(x=x)))

    def binary(x, y, i, j, s):
        out = [getattr(mb, n)(x=x, y=y) for n in "add sub mul real_div floor_div mod pow maximum minimum".split()]
        out += [getattr(mb, n)(x=i, y=j) for n in "equal not_equal less less_equal greater greater_equal".split()]
        b, c = mb.greater(x=i, y=j), mb.less(x=j, y=i)
        out += [getattr(mb, n)(x=b, y=c) for n in "logical_and logical_or logical_xor".split()]
        out += [mb.select(cond=mb.greater(x=x, y=y), a=x, b=y), mb.select(cond=b, a=i, b=j)]
        out += [mb.add(x=s, y=x), mb.add(x=x, y=np.float16(2)), mb.mul(x=s, y=s)]
        return out

    case("binary", i15, ["h2,1,5", "h3,1", "i7,1,2", "i1,3,1", "h1,?"], binary, at=[[5]])
    case("binary_unknown", i15, ["h?,1,5", "h?,4,1", "i?", "i?", "h?,?,5"], binary, at=[[2, 2, 6, 6, 2, 4], [1, 3, 1, 6, 3, 7]])


def reductions():
    names = "l1_norm l2_norm log_sum log_sum_exp max mean min prod sum sum_square".split()

    def build(x):
        out = [getattr(mb, "reduce_" + n)(x=x, axes=[-1, 1], keep_dims=bool(k % 2)) for k, n in enumerate(names)]
        out += [mb.reduce_sum(x=x), mb.reduce_max(x=x, keep_dims=True), mb.reduce_mean(x=x, axes=[0])]
        out += [mb.reduce_argmax(x=x), mb.reduce_argmin(x=x, axis=1, keep_dims=True), mb.reduce_argmax(x=x, axis=-4)]
        return out

    case("reductions", i15, ["h2,3,5,7"], build)
    case("reductions_unknown", i16, ["f?,3,?,7"], build, at=[[4, 6]])
    case("argmax_17", i17, ["h2,3,5,7"], lambda x: [mb.reduce_argmax(x=x, axis=2, output_dtype="uint16"), mb.reduce_argmin(x=x)])


def shapes():
    def static(x, y):
        out = [mb.reshape(x=x, shape=s) for s in ([6, 35], [-1, 7], [2, -1, 5], [0, 0, -1, 0], [210], [2, 3, 5, 7, 1])]
        out += [mb.expand_dims(x=x, axes=[-1]), mb.expand_dims(x=y, axes=[0, 2, -1]), mb.expand_dims(x=y, axes=[-2])]
        out += [mb.squeeze(x=mb.expand_dims(x=y, axes=[0, -1])), mb.squeeze(x=mb.expand_dims(x=y, axes=[0, -1]), axes=[-1])]
        out += [mb.flatten2d(x=x), mb.flatten2d(x=x, axis=3), mb.flatten2d(x=x, axis=-3), mb.flatten2d(x=x, axis=0)]
        out += [mb.transpose(x=x, perm=[2, 0, 3, 1]), mb.transpose(x=y, perm=[-1, 0]), mb.shape(x=x)]
        out += [mb.reverse(x=x, axes=[-1, 0]), mb.reverse(x=x), mb.tile(x=y, reps=[3, 2]), mb.identity(x=x)]
        out += [mb.reverse_sequence(x=x, lengths=np.int32([1, 2]), seq_axis=2, batch_axis=0)]
        out += [mb.squeeze(x=mb.reduce_sum(x=x, keep_dims=True))]
        return out

    case("shapes", i15, ["h2,3,5,7", "f4,9"], static)
    case("shapes_17", i17, ["h2,3,5,7", "f4,9"], static)
    case("reshape_zeros_17", i17, ["h2,3,5,7"], lambda x: [mb.reshape(x=x, shape=s) for s in ([0, -1], [6, 0, 0], [1, 2, 0, 0, 0])])
    case("reshape_like", i16, ["h6,35", "f2,3,9", "i4,5,7"], lambda x, a, b: mb.reshape_like(
        x=x, ref_tensors=[a, b], begins=[0, 1], ends=[-1, 0], end_masks=[False, True]))
    case("scalar_shape", i15, ["i1"], lambda x: [mb.expand_dims(x=mb.squeeze(x=x), axes=[0]), mb.reshape(x=mb.squeeze(x=x), shape=[1, 1])])

    def unknown(x, y):
        s = mb.shape(x=x)
        n, c = mb.gather(x=s, indices=0, axis=0), mb.gather(x=s, indices=[1], axis=0)
        last = mb.slice_by_index(x=s, begin=[-1], end=[0], end_mask=[True])
        two = mb.concat(values=[mb.expand_dims(x=n, axes=[0]), c], axis=0)
        out = [mb.reshape(x=x, shape=mb.concat(values=[two, [-1]], axis=0))]
        out += [mb.reshape(x=x, shape=mb.stack(values=[n, -1, mb.squeeze(x=last)], axis=0))]
        out += [mb.reshape(x=x, shape=[-1, 35]), mb.flatten2d(x=x, axis=2)]
        out += [mb.tile(x=y, reps=[2, 1]), mb.tile(x=y, reps=mb.concat(values=[mb.expand_dims(x=n, axes=[0]), [1]], axis=0))]
        out += [mb.fill(shape=two, value=np.float16(1)), mb.fill(shape=s, value=3), mb.fill_like(ref_tensor=x, value=True)]
        out += [mb.range_1d(start=0, end=n, step=1), mb.expand_dims(x=x, axes=[1]), mb.squeeze(x=y, axes=[0])]
        out += [mb.reshape(x=y, shape=mb.slice_by_size(x=s, begin=[0], size=[2]))]
        return out

    case("shapes_unknown", i16, ["h?,3,5,7", "f?,?"], unknown, at=[[4, 3, 4], [2, 6, 1]])

    def computed(x):
        s = mb.shape(x=x)
        a = mb.gather(x=s, indices=1)
        out = [mb.fill(shape=mb.concat(values=[f(a), 4], axis=0), value=1) for f in (
            lambda a: mb.add(x=a, y=1), lambda a: mb.sub(x=a, y=1), lambda a: mb.mul(x=a, y=2),
            lambda a: mb.floor_div(x=a, y=2), lambda a: mb.maximum(x=a, y=3), lambda a: mb.cast(x=a, dtype="int32"))]
        return out + [mb.reduce_prod(x=s), mb.reshape(x=x, shape=mb.expand_dims(x=mb.reduce_prod(x=s), axes=[0]))]

    case("computed", i15, ["h2,?,5"], computed, at=[[4], [7], [1]])


def slices():
    def by_index(x, v):
        def s(begin, end, **k):
            return mb.slice_by_index(x=x, begin=begin, end=end, **k)

        out = [s([0, 1, 0], [2, 4, 9]), s([1, -4, -3], [2, -1, 9], stride=[1, 2, 3]), s([-1, -1, 8], [0, 1, 2], stride=[-1, -2, -3], end_mask=[True, False, False])]
        out += [s([1, 0, 0], [0, 0, 0], begin_mask=[False, True, True], end_mask=[True, True, True], stride=[1, 2, -4])]
        out += [s([1, 2, 0], [0, 3, 9], squeeze_mask=[True, False, False])]
        out += [s([1, -2, 3], [2, -1, 4], squeeze_mask=[True, True, True])]
        out += [s([0, 3, 2], [1, 4, 2]), s([0, 0, -1], [0, 3, 0], begin_mask=[True, False, False], end_mask=[True, False, True])]
        out += [s([0, 0, -3], [9, 99, -1]), s([0, 4, 8], [2, 0, 0], stride=[1, -1, -2], end_mask=[False, False, True])]
        out += [mb.slice_by_index(x=v, begin=[1], end=[2]), mb.slice_by_index(x=v, begin=[-1], end=[0], end_mask=[True])]
        return out

    case("slices", i15, ["h2,5,9", "i4"], by_index)
    case("slices_unknown", i17, ["h?,?,9", "i?"], by_index, at=[[3, 5, 4], [4, 7, 4]])
    case("slices_of_one", i15, ["h1,5"], lambda x: [mb.slice_by_index(x=x, begin=[-1, 1], end=[9, 2]), mb.slice_by_index(x=x, begin=[0, 0], end=[0, -1], end_mask=[True, False])])
    case("slice_begin_unknown", i15, ["h2,5,9", "i3", "i3"], lambda x, b, e: [
        mb.slice_by_index(x=x, begin=b, end=e, begin_mask=[True, False, False], end_mask=[True, True, False]),
        mb.slice_by_index(x=x, begin=b, end=e, squeeze_mask=[False, True, False])])
    case("slice_by_size", i15, ["h2,5,9", "i3"], lambda x, b: [
        mb.slice_by_size(x=x, begin=[0, 1, 2], size=[2, -1, 3]), mb.slice_by_size(x=x, begin=b, size=[1, 2, 3]), mb.slice_by_size(x=x, begin=[0, 0, 0], size=b)])
    case("slice_by_size_unknown", i17, ["h?,5,?"], lambda x: mb.slice_by_size(x=x, begin=[0, 1, 2], size=[-1, -1, 4]), at=[[3, 7]])
    case("slice_update", i18, ["h2,5,9", "h1,2,9", "h2,9"], lambda x, u, v: [
        mb.slice_update(x=x, update=u, begin=[1, 1, 0], end=[2, 5, 0], stride=[1, 2, 1], end_mask=[False, False, True]),
        mb.slice_update(x=x, update=v, begin=[0, 3, 0], end=[2, 4, 9], squeeze_mask=[False, True, False])])
    case("sliding_windows", i15, ["h2,11,3"], lambda x: [mb.sliding_windows(x=x, axis=1, size=4, stride=3), mb.sliding_windows(x=x, axis=-1, size=2)])
    case("sliding_windows_unknown", i17, ["h2,?,3"], lambda x: mb.sliding_windows(x=x, axis=-2, size=4, stride=3), at=[[11], [4]])
    case("pad", i15, ["h2,3,5", "i6"], lambda x, p: [
        mb.pad(x=x, pad=[1, 2, 3, 4], mode="reflect"), mb.pad(x=x, pad=[0, 0, 1, 0, 0, 2], constant_val=np.float16(1)), mb.pad(x=x, pad=p), mb.pad(x=x, pad=[3, 1], mode="replicate")])
    case("pad_unknown", i15, ["h2,?,5"], lambda x: mb.pad(x=x, pad=[1, 2, 3, 4]), at=[[3]])
    case("spatial", i16, ["h2,36,10,15"], lambda x: [
        mb.depth_to_space(x=x, block_size=3), mb.pixel_shuffle(x=x, upscale_factor=2), mb.space_to_depth(x=x, block_size=5), mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(5)),
        mb.space_to_batch(x=x, block_shape=[3, 4], paddings=[[1, 1], [0, 1]]), mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 4])])
    case("batch_to_space", i15, ["h12,2,3,5"], lambda x: mb.batch_to_space(x=x, block_shape=[2, 3], crops=[[1, 0], [0, 4]]))
    case("spatial_unknown", i16, ["h?,36,?,15"], lambda x: [
        mb.depth_to_space(x=x, block_size=3), mb.pixel_shuffle(x=x, upscale_factor=2), mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 4]), mb.space_to_depth(x=x, block_size=5)], at=[[2, 10]])


def joins():
    def build(x, y, a, b):
        out = [mb.concat(values=[x, y], axis=-2), mb.concat(values=[x, x], axis=0, interleave=True), mb.stack(values=[x, x, x], axis=-1), mb.stack(values=[y, y], axis=1)]
        out += list(mb.split(x=x, num_splits=3, axis=1)) + list(mb.split(x=y, split_sizes=[1, 2, 4], axis=-2)) + list(mb.split(x=x, split_sizes=[4, 1], num_splits=2, axis=2))
        out += [mb.concat(values=[mb.squeeze(x=a), mb.squeeze(x=b), mb.squeeze(x=a)], axis=0)]
        return out

    case("joins", i15, ["h2,3,5", "h2,7,5", "i1", "i1"], build)
    case("joins_unknown", i15, ["h?,3,5", "h?,7,?", "i1", "i1"], build, at=[[2, 2, 5]])
    case("split_unknown", i15, ["h?,4"], lambda x: list(mb.split(x=x, num_splits=2, axis=0)) + list(mb.split(x=x, split_sizes=[3, 5], axis=0)), at=[[8]])


def indices():
    def gathers(x, i, j):
        return [mb.gather(x=x, indices=i, axis=-2), mb.gather(x=x, indices=[2, 0], axis=1), mb.gather(x=x, indices=1), mb.gather(x=mb.gather(x=x, indices=0), indices=i, axis=1),
                mb.gather_nd(x=x, indices=j), mb.gather_nd(x=x, indices=[[1, 2, 3], [0, 0, 0]])]

    for opset in (i15, i16, i17):
        case(f"gathers_{OPSETS[opset]}", opset, ["h2,3,5", "i4,6", "i7,2"], gathers)
    case("gathers_unknown", i17, ["h2,?,5", "i?,6", "i?,2"], gathers, at=[[4, 6, 7]])
    case("gather_batch", i16, ["h2,3,5,7", "i2,3,4", "i2,9,2"], lambda x, i, j: [
        mb.gather(x=x, indices=i, axis=2, batch_dims=2), mb.gather(x=x, indices=i, axis=-1, batch_dims=1), mb.gather_nd(x=x, indices=j, batch_dims=1)])
    case("gather_scalar", i15, ["i5"], lambda x: [mb.gather(x=x, indices=2), mb.gather(x=x, indices=[2])])
    case("along", i15, ["h2,3,5", "i2,4,5"], lambda x, i: [mb.gather_along_axis(x=x, indices=i, axis=1), mb.gather_along_axis(x=x, indices=i, axis=-2)])
    case("gather_small_17", i17, ["u84,5", "u163"], lambda x, i: mb.gather(x=x, indices=i, axis=1))

    def scatters(x, i, u, j, v, k, w):
        return [mb.scatter(data=x, indices=i, updates=u, axis=1), mb.scatter_along_axis(data=x, indices=j, updates=v, axis=-1, mode="update"), mb.scatter_nd(data=x, indices=k, updates=w)]

    for opset in (i15, i17):
        case(f"scatters_{OPSETS[opset]}", opset, ["h2,3,5", "i4", "h2,4,5", "i2,3,6", "h2,3,6", "i7,2", "h7,5"], scatters)
    case("one_hot", i15, ["i2,3", "i1"], lambda x, n: [
        mb.one_hot(indices=x, one_hot_vector_size=7), mb.one_hot(indices=x, one_hot_vector_size=7, axis=0, on_value=np.float16(2), off_value=np.float16(1)),
        mb.one_hot(indices=x, one_hot_vector_size=mb.squeeze(x=n), axis=-2)])
    case("order", i15, ["h2,3,5", "b4,6"], lambda x, b: list(mb.topk(x=x, k=2, axis=1)) + list(mb.topk(x=x)) + [
        mb.argsort(x=x, axis=1), mb.cumsum(x=x, axis=-1), mb.band_part(x=x, lower=1, upper=0), mb.non_zero(x=x), mb.non_zero(x=b)])
    case("topk_16", i16, ["h2,3,?"], lambda x: list(mb.topk(x=x, k=4, axis=-1, sort=False)) + [mb.topk(x=x, k=2, axis=1, return_indices=False)], at=[[6]])
    case("topk_17", i17, ["h2,3,5"], lambda x: list(mb.topk(x=x, k=4, axis=-1, output_indices_dtype="uint16")) + [mb.topk(x=x, k=2, axis=1, return_indices=False)])
    case("nms", i15, ["f2,50,4", "f2,50,3"], lambda b, s: list(mb.non_maximum_suppression(boxes=b, scores=s, iou_threshold=0.5, score_threshold=0.1, max_boxes=7)))
    case("nms_17", i17, ["f2,4,50", "f2,3,50"], lambda b, s: list(mb.non_maximum_suppression(boxes=b, scores=s, iou_threshold=0.5, max_boxes=7)))
    case("ranges", i15, ["i1"], lambda n: [
        mb.range_1d(start=2, end=11, step=3), mb.range_1d(start=9, end=-4, step=-5), mb.range_1d(start=0.0, end=1.0, step=0.1), mb.range_1d(start=0.0, end=0.3, step=0.1),
        mb.range_1d(start=np.float16(0), end=np.float16(1), step=np.float16(0.1)), mb.range_1d(start=0, end=mb.squeeze(x=n), step=1)])
    case("fills", i15, ["i3", "i?"], lambda s, t: [mb.fill(shape=[2, 3], value=True), mb.fill(shape=s), mb.fill(shape=t, value=1), mb.fill(shape=[4])])


def chains():
    def attention(x, table):
        s = mb.shape(x=x)
        b, n, c = (mb.gather(x=s, indices=k) for k in range(3))
        end = mb.concat(values=[1, n, 12], axis=0)
        positions = mb.slice_by_index(x=table, begin=[0, 0, 0], end=end)
        y = mb.add(x=x, y=positions)
        heads = mb.reshape(x=y, shape=mb.concat(values=[b, n, 3, 4], axis=0))
        heads = mb.transpose(x=heads, perm=[0, 2, 1, 3])
        folded = mb.reshape(x=heads, shape=mb.concat(values=[mb.mul(x=b, y=3), n, mb.floor_div(x=c, y=3)], axis=0))
        i = mb.range_1d(start=0, end=n, step=1)
        mask = mb.less_equal(x=mb.expand_dims(x=i, axes=[0]), y=mb.expand_dims(x=i, axes=[1]))
        scores = mb.select(cond=mask, a=mb.fill(shape=mb.stack(values=[n, n], axis=0), value=np.float16(0)), b=np.float16(-4e4))
        back = mb.reshape(x=folded, shape=mb.concat(values=[b, mb.sub(x=mb.mul(x=n, y=2), y=n), -1], axis=0))
        return [positions, y, heads, folded, scores, back, mb.add(x=back, y=x)]

    case("attention", i15, ["h?,?,12", "h1,20,12"], attention, at=[[2, 5], [3, 1], [1, 20]])

    def shift(x):
        n = mb.gather(x=mb.shape(x=x), indices=1)
        last = mb.sub(x=n, y=1)
        begin = lambda k: mb.concat(values=[0, k], axis=0)
        end = lambda k: mb.concat(values=[2, k], axis=0)
        out = [mb.slice_by_index(x=x, begin=[0, 0], end=end(last)), mb.slice_by_index(x=x, begin=begin(last), end=[0, 0], end_mask=[True, True])]
        out += [mb.slice_by_size(x=x, begin=begin(last), size=[-1, 1]), mb.slice_by_size(x=x, begin=[0, 0], size=end(last))]
        out += [mb.concat(values=[out[1], out[0]], axis=1), mb.sub(x=mb.slice_by_index(x=x, begin=[0, 1], end=[2, 0], end_mask=[False, True]), y=out[0])]
        half = mb.floor_div(x=mb.add(x=n, y=1), y=2)
        out += [mb.slice_by_index(x=x, begin=[0, 0], end=[2, 0], stride=[1, 2], end_mask=[False, True])]
        out += [mb.reshape(x=mb.slice_by_index(x=x, begin=[0, 0], end=[2, 0], stride=[1, 2], end_mask=[False, True]), shape=mb.concat(values=[half, -1], axis=0))]
        out += [mb.pad(x=x, pad=mb.concat(values=[0, 0, mb.minimum(x=n, y=3), mb.mod(x=n, y=4)], axis=0))]
        out += [mb.tile(x=x, reps=mb.concat(values=[mb.maximum(x=n, y=2), 1], axis=0)), mb.one_hot(indices=mb.range_1d(start=n, end=0, step=-2), one_hot_vector_size=n)]
        return out

    case("shift", i16, ["f2,?"], shift, at=[[2], [7], [10]])

    def chosen(x, k):
        s = mb.shape(x=x)
        n, m = mb.gather(x=s, indices=0), mb.gather(x=s, indices=-1)
        one = mb.equal(x=m, y=5)
        take = mb.select(cond=one, a=n, b=m)
        many = mb.select(cond=mb.greater_equal(x=n, y=1), a=mb.square(x=n), b=0)
        parts = mb.split(x=s, split_sizes=[1, 2], axis=0)
        k = mb.squeeze(x=k)
        out = [mb.fill(shape=mb.concat(values=[take, many], axis=0), value=1.0), mb.reshape(x=x, shape=mb.concat(values=[parts[0], [-1]], axis=0))]
        out += [mb.fill(shape=mb.concat(values=[n, k], axis=0), value=1.0), mb.reshape(x=x, shape=mb.concat(values=[n, k], axis=0))]
        out += [mb.fill(shape=mb.reverse(x=mb.tile(x=parts[1], reps=[2]), axes=[0]), value=True), mb.fill(shape=mb.gather(x=s, indices=[[2, 0], [1, 1]][0]))]
        return out

    case("chosen", i17, ["h?,3,5", "i1"], chosen, at=[[4], [9]])


for family in (elementwise, reductions, shapes, slices, joins, indices, chains):
    family()
print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES) + "\n]")

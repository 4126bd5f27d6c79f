"""Stored forms of constants, and quantisation at run time."""
import numpy as np
import torch
from golden import Typed, b, case, f16, f32, i32, i8, rand, raw, text, u32, u8, whole

NP = dict(truth="formula")


def packed(values, bits):
    """Fields of `bits`, the first in the lowest bits of the first byte."""
    stream = [(int(v) >> k) & 1 for v in values for k in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return np.packbits(np.array(stream, dtype=np.uint8).reshape(-1, 8)[:, ::-1]).ravel()


# ---------------------------------------------------------------- iOS16
for name, q in (("uint8", u8(whole(2, 3, 4, lo=0, hi=256))), ("int8", i8(whole(2, 3, 4, lo=-128, hi=128)))):
    of = u8 if name == "uint8" else i8
    for axis in (0, 1, -1):
        n = q.n.shape[axis]
        s, z = f32(rand(n, lo=0.1, hi=2)), of(whole(n, lo=0, hi=100))
        shape = [1, 1, 1]
        shape[axis] = n
        y = s.n.reshape(shape) * (q.n.astype(float) - z.n.reshape(shape))
        case(f"constexpr_affine_dequantize, {name}, axis {axis}", "constexpr_affine_dequantize", {}, {"quantized_data": q, "zero_point": z, "scale": s, "axis": i32(axis)}, y, dtype="fp32", opset=16, **NP)
    case(f"constexpr_affine_dequantize, {name}, one scale, fp16", "constexpr_affine_dequantize", {}, {"quantized_data": q, "zero_point": of(7), "scale": f16(0.75), "axis": i32(0)}, 0.75 * (q.n.astype(float) - 7), dtype="fp16", opset=16, **NP)
x = f16(rand(2, 3))
case("constexpr_cast", "constexpr_cast", {}, {"source_val": x, "output_dtype": text("fp32")}, f32(x.n), opset=16, within="exact", **NP)
for bits, shape in ((1, [3, 3]), (2, [5]), (4, [3, 5]), (6, [2, 3, 3]), (8, [2, 3])):
    of = f16 if bits == 4 else f32
    lut = of(rand(2 ** bits)) if bits < 6 else of(np.arange(2 ** bits) / 8 - 2)
    idx = whole(*shape, lo=0, hi=2 ** bits)
    case(f"constexpr_lut_to_dense of iOS16, {bits} bits", "constexpr_lut_to_dense", {}, {"indices": u8(packed(idx.ravel(), bits)), "lut": lut, "shape": u32(shape)}, lut.n[idx], dtype=lut.dtype, opset=16, within="exact", **NP)
lut = i8([-128, 5, 0, 127])
idx = whole(5, lo=0, hi=4)
case("constexpr_lut_to_dense of iOS16, int8", "constexpr_lut_to_dense", {}, {"indices": u8(packed(idx, 2)), "lut": lut, "shape": u32([5])}, i8(lut.n[idx]), opset=16, within="exact", **NP)
mask = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1])
for of, data in ((f32, rand(6)), (f16, rand(6)), (i8, whole(6))):
    v = of(data)
    y = np.zeros(11)
    y[mask == 1] = v.n
    case(f"constexpr_sparse_to_dense of iOS16, {v.dtype}", "constexpr_sparse_to_dense", {}, {"nonzero_data": v, "mask": u8(packed(mask, 1)), "shape": u32([11])}, of(y), opset=16, within="exact", **NP)

# ---------------------------------------------------------------- iOS18
RANGE = {"int4": (-8, 8), "uint4": (0, 16), "int8": (-128, 128), "uint8": (0, 256)}
for d, (lo, hi) in RANGE.items():
    for blocks in ((2, 1, 2), (1, 3, 4), (4, 3, 1)):
        q = Typed(d, whole(4, 3, 4, lo=lo, hi=hi))
        s, o = f32(rand(*blocks, lo=0.1, hi=2)), Typed(d, whole(*blocks, lo=lo, hi=hi))
        wide = lambda v: np.kron(v, np.ones([4 // blocks[0], 3 // blocks[1], 4 // blocks[2]]))
        case(f"constexpr_blockwise_shift_scale, {d}, {blocks}", "constexpr_blockwise_shift_scale", {}, {"data": q, "scale": s, "offset": o}, wide(s.n) * (q.n.astype(float) - wide(o.n.astype(float))), dtype="fp32", opset=18, **NP)
q, s, o = Typed("int4", whole(2, 5, lo=-8, hi=8)), f16([[0.5], [2]]), f16([[0.25], [-1]])
case("constexpr_blockwise_shift_scale, fp16, offsets are numbers", "constexpr_blockwise_shift_scale", {}, {"data": q, "scale": s, "offset": o}, s.n * (q.n.astype(float) - o.n), dtype="fp16", opset=18, **NP)
case("constexpr_blockwise_shift_scale, no offset", "constexpr_blockwise_shift_scale", {}, {"data": q, "scale": s}, s.n * q.n.astype(float), dtype="fp16", opset=18, **NP)


def lut_to_dense(idx, lut, axis):
    """Each index names a vector of the table of its block; vectors lie along `axis`."""
    size = lut.shape[-1]
    table = lut
    for k in range(idx.ndim):
        table = np.repeat(table, idx.shape[k] // table.shape[k], k)
    out = np.zeros([*idx.shape, size])
    for at in np.ndindex(*idx.shape):
        out[at] = table[at][idx[at]]
    if axis is None:
        return out[..., 0]
    axis %= idx.ndim
    shape = list(idx.shape)
    shape[axis] *= size
    return np.moveaxis(out, -1, axis + 1).reshape(shape)


for d, bits, shape, groups, size, axis in (("uint1", 1, (3, 4), (1, 1), 1, None), ("uint2", 2, (6, 2), (2, 1), 1, None), ("uint3", 3, (4, 5), (2, 1), 1, None), ("uint4", 4, (2, 3, 4), (1, 3, 2), 1, None),
                                           ("uint6", 6, (3, 3), (1, 1), 1, None), ("uint8", 8, (2, 4), (2, 1), 1, None), ("uint1", 1, (2, 2, 2), (1, 1, 1), 3, 1), ("uint1", 1, (2, 2, 2), (1, 1, 1), 3, 2),
                                           ("uint2", 2, (4, 3), (2, 1), 2, 0), ("uint2", 2, (4, 3), (1, 3), 2, -1), ("uint4", 4, (2, 4, 2), (2, 1, 2), 2, 0)):
    of = f16 if bits == 3 else f32
    lut = of(rand(*groups, 2 ** bits, size) if bits < 6 else (np.arange(np.prod(groups) * 2 ** bits * size) / 4 - 9).reshape(*groups, 2 ** bits, size))
    idx = whole(*shape, lo=0, hi=2 ** bits)
    consts = {"indices": Typed(d, idx), "lut": lut, **({"vector_axis": i32(axis)} if axis is not None else {})}
    case(f"constexpr_lut_to_dense of iOS18, {d}, {groups}, vectors of {size} along {axis}", "constexpr_lut_to_dense", {}, consts, lut_to_dense(idx, lut.n, axis), dtype=lut.dtype, opset=18, within="exact", **NP)
lut = i8(whole(1, 1, 4, 1, lo=-128, hi=128))
idx = whole(3, 2, lo=0, hi=4)
case("constexpr_lut_to_dense of iOS18, int8", "constexpr_lut_to_dense", {}, {"indices": Typed("uint2", idx), "lut": lut}, i8(lut_to_dense(idx, lut.n, None)), opset=18, within="exact", **NP)
mask = np.array([[0, 1, 1, 0, 1], [0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
for d in ("int4", "uint4", "int8", "uint8", "fp16", "fp32"):
    v = Typed(d, rand(7) if d.startswith("fp") else whole(7, lo=RANGE[d][0], hi=RANGE[d][1]))
    y = np.zeros(mask.shape)
    y[mask == 1] = v.n
    case(f"constexpr_sparse_to_dense of iOS18, {d}", "constexpr_sparse_to_dense", {}, {"nonzero_data": v, "mask": Typed("uint1", mask)}, Typed(d, y), opset=18, within="exact", **NP)
M = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]])
for size, axis, groups in ((1, None, (1, 1)), (1, None, (2, 1)), (2, 0, (1, 1)), (2, 1, (1, 2))):
    v, lut = whole(9, lo=0, hi=4), f32(rand(*groups, 4, size))
    full = np.zeros(M.shape, dtype=int)
    full[M == 1] = v
    y = lut_to_dense(full, lut.n, axis)
    out = M if axis is None else np.repeat(M, size, axis)
    consts = {"indices_mask": Typed("uint1", M), "indices_nonzero_data": Typed("uint2", v), "lut": lut, **({"vector_axis": i32(axis)} if axis is not None else {})}
    case(f"constexpr_lut_to_sparse, vectors of {size} along {axis}, {groups}", "constexpr_lut_to_sparse", {}, consts, (Typed("uint1", out), raw("fp32", y[out == 1])), opset=18, within="exact", **NP)
for d, blocks, offset in (("int8", (1, 6), True), ("uint4", (4, 1), True), ("int4", (2, 3), False)):
    v, s, o = Typed(d, whole(9, lo=0, hi=7)), f32(rand(*blocks, lo=0.1, hi=2)), Typed(d, whole(*blocks, lo=0, hi=7))
    wide = lambda a: np.kron(a, np.ones([4 // blocks[0], 6 // blocks[1]]))
    full = np.zeros(M.shape)
    full[M == 1] = v.n
    y = wide(s.n) * (full - (wide(o.n.astype(float)) if offset else 0))
    consts = {"data_mask": Typed("uint1", M), "nonzero_data": v, "scale": s, **({"offset": o} if offset else {})}
    case(f"constexpr_sparse_blockwise_shift_scale, {d}, {blocks}", "constexpr_sparse_blockwise_shift_scale", {}, consts, (Typed("uint1", M), raw("fp32", y[M == 1])), opset=18, **NP)

# ---------------------------------------------------------------- run time
x = f32([[-3.2, 0.25, 0.75], [1.25, 100, -100], [0.3, 1.7, 2.5]])
for d, of in (("int8", i8), ("uint8", u8)):
    lo, hi = (-128, 127) if d == "int8" else (0, 255)
    s = f32(0.5)
    y = np.clip(np.round(x.n / 0.5), lo, hi)
    case(f"quantize, {d}, one scale", "quantize", {"input": x}, {"scale": s, "output_dtype": text(d)}, of(y), truth="numpy", within="exact", opset=17)
    for axis in (0, -1):
        s, z = f32([0.5, 0.25, 2]), of([3, 0, 100])
        shape = [3, 1] if axis == 0 else [1, 3]
        y = np.clip(np.round(x.n / s.n.reshape(shape)) + z.n.reshape(shape).astype(int), lo, hi)
        case(f"quantize, {d}, axis {axis}", "quantize", {"input": x}, {"scale": s, "zero_point": z, "output_dtype": text(d), "axis": i32(axis)}, of(y), truth="numpy", within="exact", opset=17)
        q = of(whole(3, 3, lo=lo, hi=hi + 1))
        y = s.n.reshape(shape) * (q.n.astype(float) - z.n.reshape(shape).astype(float))
        case(f"dequantize, {d}, axis {axis}", "dequantize", {"input": q}, {"scale": s, "zero_point": z, "axis": i32(axis)}, y, dtype="fp32", truth="numpy", opset=17)
    case(f"dequantize, {d}, one scale, fp16", "dequantize", {"input": q}, {"scale": f16(0.75)}, 0.75 * q.n.astype(float), dtype="fp16", truth="numpy", opset=17)
    t = torch.fake_quantize_per_tensor_affine(x.t.float(), 0.5, 4 if d == "int8" else 30, lo, hi)
    zero = of(4 if d == "int8" else 30)
    case(f"quantize as torch, {d}", "quantize", {"input": x}, {"scale": f32(0.5), "zero_point": zero, "output_dtype": text(d)}, of(np.round(t.numpy() / 0.5) + int(zero.n)), within="exact", opset=17)

"""The cases of every family; see cases.py."""

import sys

import numpy as np
from cases import S, C, T, V, case, mb, write
from coremltools.converters.mil.mil.operation import mil_list

F32, F16 = "fp32", "fp16"

# convolutions: extents that no two axes share, asymmetric pads, strides 1 to 3, dilations, groups
A = [{"s0": n} for n in (5, 8, 9, 12, 13, 31)]
AB = [{"s0": n, "s1": m} for n, m in ((7, 10), (8, 9), (9, 8), (12, 5), (15, 31))]
for opset in (5, 6, 7, 8):
    case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5)), opset)
case("conv", "conv", dict(x=T(F16, 2, 6, 11, 17), weight=C(F16, 10, 3, 3, 4), bias=C(F16, 10), strides=[2, 3], pad_type="custom", pad=[1, 0, 2, 3], dilations=[2, 1], groups=2))
for pad_type in ("same", "same_lower", "valid"):
    for strides in ([1, 1], [2, 3], [3, 2]):
        args = dict(x=T(F16, 1, 4, 10, 13), weight=C(F16, 5, 4, 3, 2), strides=strides, pad_type=pad_type, dilations=[1, 3])
        case("conv", "conv", args, 6)
        case("conv", "conv", {**args, "x": T(F16, "b", 4, "s0", "s1")}, 6, AB)
for x, w, stride in ((5, 2, 3), (9, 1, 4), (4, 2, 5)):
    case("conv", "conv", dict(x=T(F32, 1, 2, x), weight=C(F32, 3, 2, w), strides=[stride], pad_type="same"))
    case("conv", "conv", dict(x=T(F32, 1, 2, "s0"), weight=C(F32, 3, 2, w), strides=[stride], pad_type="same"), 5, A)
case("conv", "conv", dict(x=T(F32, 1, 2, "s0"), weight=C(F32, 3, 2, 3), strides=[2], pad_type="custom", pad=[1, 1]), 5, A)
case("conv", "conv", dict(x=T(F32, 1, 2, "s0"), weight=C(F32, 3, 2, 4), strides=[3], pad_type="custom", pad=[0, 2], dilations=[2]), 5, A)
case("conv", "conv", dict(x=T(F32, 2, 4, 5, 7, 9), weight=C(F32, 6, 1, 2, 3, 1), strides=[1, 2, 3], pad_type="custom", pad=[1, 0, 0, 2, 3, 1], groups=4))
case("conv", "conv", dict(x=T(F32, "b", "c", 11, 12), weight=C(F32, 9, 6, 3, 5)), 5, [{"b": 3, "c": 6}])
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=T(F32, 9, 6, 3, 5)), 6)
case("conv", "conv", dict(x=T(F16, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), bias=T(F32, 9)), 7)
case("conv", "conv", dict(x=T(F16, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), bias=C(F16, 9)), 7, fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), pad_type="same_lower"), 5, fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F16, 9, 6, 3, 5)), 6, fails=True)
case("conv", "conv", dict(x=T("int32", 2, 6, 11, 17), weight=C("int32", 9, 6, 3, 5)), 6, fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 5, 3, 5)), fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 2, 3, 5), groups=4), fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 12, 5)), fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), bias=C(F32, 8)), fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), pad_type="custom", pad=[1, 1]), fails=True)
case("conv", "conv", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 9, 6, 3, 5), pad_type="reflect"), fails=True)
case("conv", "conv_quantized", dict(x=T(F32, 2, 6, 11, 17), weight=C("uint8", 9, 6, 3, 5), quantization_type="linear", quant_scale=C(F32, 9), quant_bias=C(F32, 9), strides=[2, 1]))
for opset in (5, 7):
    case("conv", "conv_transpose", dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 6, 5, 3, 4)), opset)
for pad_type in ("same", "valid"):
    args = dict(x=T(F32, 2, 6, 11, 17), weight=C(F32, 6, 5, 3, 4), strides=[2, 3], pad_type=pad_type, dilations=[2, 1], groups=2)
    case("conv", "conv_transpose", args)
    case("conv", "conv_transpose", {**args, "x": T(F32, "b", 6, "s0", "s1")}, 5, AB)
args = dict(x=T(F16, 2, 6, 11, 17), weight=C(F16, 6, 5, 3, 4), bias=C(F16, 5), strides=[3, 2], pad_type="custom", pad=[1, 0, 2, 1])
case("conv", "conv_transpose", args)
case("conv", "conv_transpose", {**args, "x": T(F16, 2, 6, "s0", "s1")}, 6, AB)
case("conv", "conv_transpose", {**args, "output_shape": [2, 5, 34, 37]})
case("conv", "conv_transpose", {**args, "output_shape": [2, 4, 34, 37]}, fails=True)
case("conv", "conv_transpose", {**args, "bias": C(F16, 6)}, fails=True)
case("conv", "conv_transpose", {**args, "pad_type": "same_lower"}, 6, fails=True)
case("conv", "conv_transpose", dict(x=T(F32, 1, 3, 9), weight=C(F32, 3, 4, 5), strides=[2], pad_type="custom", pad=[2, 1]))
case("conv", "conv_transpose", dict(x=T(F32, 1, 3, 4, 5, 6), weight=C(F32, 3, 2, 2, 3, 4), strides=[2, 1, 3]))
case("conv", "conv_transpose", dict(x=T(F32, 1, 3, 9), weight=C(F16, 3, 4, 5), bias=C(F16, 4)), 7)

# pools
for op in ("max_pool", "avg_pool", "l2_pool"):
    for ceil in (False, True):
        for k, s, p in (((3, 2), (2, 3), (1, 1, 0, 0)), ((2, 5), (1, 2), (0, 0, 2, 2)), ((3, 3), (2, 2), (1, 1, 1, 1)), ((2, 2), (3, 5), (1, 1, 1, 1))):
            args = dict(x=T(F16, 2, 3, 10, 13), kernel_sizes=list(k), strides=list(s), pad_type="custom", pad=list(p), ceil_mode=ceil)
            case("pool", op, args)
            case("pool", op, {**args, "x": T(F16, 2, 3, "s0", "s1")}, 5, AB)
        case("pool", op, dict(x=T(F32, 2, 3, "s0"), kernel_sizes=[3], strides=[2], pad_type="valid", ceil_mode=ceil), 5, A)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="valid"))
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="same", strides=[2, 3]))
    case("pool", op, dict(x=T(F32, 2, 3, "s0", "s1"), kernel_sizes=[3, 2], pad_type="same_lower", strides=[2, 3]), 6, AB)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="same_lower"), 5, fails=True)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="same", ceil_mode=True), fails=True)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="custom", pad=[0, 1, 1, 1], ceil_mode=True), fails=True)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[12, 2], pad_type="valid"), fails=True)
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14), kernel_sizes=[3], pad_type="valid"), fails=True)
    case("pool", op, dict(x=T("int32", 2, 3, 11, 14), kernel_sizes=[3, 2], pad_type="valid"), fails=True)
for op in ("max_pool", "avg_pool"):
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14, 7), kernel_sizes=[3, 2, 4], pad_type="custom", pad=[1, 0, 0, 1, 2, 2], strides=[1, 2, 3]))
    case("pool", op, dict(x=T(F32, 2, 3, 11, 14, 7), kernel_sizes=[3, 2, 4], pad_type="valid", ceil_mode=True), fails=True)
case("pool", "l2_pool", dict(x=T(F32, 2, 3, 11, 14, 7), kernel_sizes=[3, 2, 4], pad_type="valid"), fails=True)
case("pool", "avg_pool", dict(x=T(F32, 2, 3, 9), kernel_sizes=[4], pad_type="valid", exclude_padding_from_average=True))

# products of matrices
for opset in (5, 7):
    case("linear", "linear", dict(x=T(F16, 2, 5, 7), weight=C(F16, 3, 7)), opset)
    case("linear", "matmul", dict(x=T(F16, 2, 1, 5, 7), y=T(F16, 4, 7, 3)), opset)
case("linear", "linear", dict(x=T(F32, "s0", "s1", 7), weight=C(F32, 3, 7), bias=C(F32, 3)), 5, AB)
case("linear", "linear", dict(x=T(F32, 7), weight=C(F32, 3, 7)))
case("linear", "linear", dict(x=T(F32, 2, "s0"), weight=C(F32, 3, 7)), 6, [{"s0": 7}])
case("linear", "linear", dict(x=T(F16, 2, 7), weight=C(F32, 3, 7)), 7)
case("linear", "linear", dict(x=T("int32", 2, 7), weight=C("int32", 3, 7), bias=C("int32", 3)))
case("linear", "linear", dict(x=T(F16, 2, 7), weight=C(F32, 3, 7)), 6, fails=True)
case("linear", "linear", dict(x=T(F32, 2, 6), weight=C(F32, 3, 7)), fails=True)
case("linear", "linear", dict(x=T(F32, 2, 7), weight=C(F32, 3, 7), bias=C(F32, 2)), fails=True)
case("linear", "linear", dict(x=T(F32, 2, 7), weight=C(F32, 3, 7, 1)), fails=True)
case("linear", "matmul", dict(x=T(F32, 5, 7), y=T(F32, 3, 7), transpose_y=True))
case("linear", "matmul", dict(x=T(F32, 2, 7, 5), y=T(F32, 2, 7, 3), transpose_x=True))
case("linear", "matmul", dict(x=T(F32, 6, 1, 7, 5), y=T(F32, 4, 3, 7), transpose_x=True, transpose_y=True))
case("linear", "matmul", dict(x=T(F32, 7), y=T(F32, 7, 3)))
case("linear", "matmul", dict(x=T(F32, "s0", 1, "s1", 7), y=T(F32, 4, 7, "s0")), 5, AB)
case("linear", "matmul", dict(x=T(F32, "s0", 5, 7), y=T(F32, "s0", 7, "s1")), 5, AB)
case("linear", "matmul", dict(x=T(F32, "s0", 5, 7), y=T(F32, 3, "s1", 2)), 5, [{"s0": 1, "s1": 7}, {"s0": 3, "s1": 7}])
case("linear", "matmul", dict(x=T(F16, 2, 7), y=C(F32, 7, 3)), 7)
case("linear", "matmul", dict(x=C(F32, 2, 7), y=T(F16, 7, 3)), 7)
case("linear", "matmul", dict(x=T(F16, 2, 7), y=T(F32, 7, 3)), 7, fails=True)
case("linear", "matmul", dict(x=T(F16, 2, 7), y=C(F32, 7, 3)), 6, fails=True)
case("linear", "matmul", dict(x=T(F32, 2, 7), y=T(F32, 6, 3)), fails=True)
case("linear", "matmul", dict(x=T(F32, 2, 5, 7), y=T(F32, 3, 7, 2)), fails=True)
case("linear", "matmul", dict(x=T(F32, 7), y=T(F32, 7, 2), transpose_x=True), fails=True)
case("linear", "einsum", dict(values=[T(F32, 2, 5, 1, 7), T(F32, 2, 7, 4, 3)], equation="abcd,adce->abce"))
case("linear", "einsum", dict(values=[T(F16, 5, 4, 7), T(F16, 7, 4, 3)], equation="vnm,mno->vno"))
case("linear", "einsum", dict(values=[T(F16, "s0", 5, 4, 7), T(F16, "s0", 7, 4, "s1")], equation="nchw,nwhu->nchu"), 5, AB)
case("linear", "einsum", dict(values=[T(F32, 2, 5, 4, 7), T(F32, 2, 6, 4, 3)], equation="abcd,adce->abce"), fails=True)
case("linear", "einsum", dict(values=[T(F32, 2, 5, 4, 7), T(F16, 2, 7, 4, 3)], equation="abcd,adce->abce"), fails=True)

# normalisations
for opset, other in ((5, F16), (7, F32)):
    case("norm", "batch_norm", dict(x=T(F16, 2, 5, 7, 3), mean=C(other, 5), variance=C(other, 5), gamma=C(other, 5), beta=C(other, 5)), opset)
    case("norm", "instance_norm", dict(x=T(F16, 2, 5, 7, 3), gamma=C(other, 5)), opset)
    case("norm", "layer_norm", dict(x=T(F16, 2, 5, 7, 3), axes=[-1, 1], gamma=C(other, 5, 3), beta=C(other, 5, 3), epsilon=V(other, 1e-3)), opset)
    case("norm", "l2_norm", dict(x=T(F16, 2, 5, 7, 3)), opset)
    case("norm", "local_response_norm", dict(x=T(F16, 2, 5, 7, 3), size=3), opset)
case("norm", "batch_norm", dict(x=T(F32, "s0", 5, "s1"), mean=C(F32, 5), variance=C(F32, 5)), 5, AB)
case("norm", "layer_norm", dict(x=T(F32, 2, "s0", 7), axes=[1, 2]), 5, A)
case("norm", "layer_norm", dict(x=T(F32, 2, 5, 7), axes=[1, 2], gamma=C(F32, 7, 5)), fails=True)
case("norm", "layer_norm", dict(x=T(F32, 2, 5, 7), axes=[3]), fails=True)
case("norm", "layer_norm", dict(x=T(F16, 2, 5, 7), axes=[2], gamma=C(F32, 7)), 6, fails=True)
case("norm", "l2_norm", dict(x=T(F32, 5, 7)), fails=True)
case("norm", "batch_norm", dict(x=T("int32", 2, 5, 7), mean=C("int32", 5), variance=C("int32", 5)), fails=True)

# recurrent layers: sequence 11, batch 3, features 5, hidden 4
for sequence in (False, True):
    for direction in ("forward", "reverse", "bidirectional"):
        n = 2 if direction == "bidirectional" else 1
        back = dict(weight_ih_back=C(F32, 16, 5), weight_hh_back=C(F32, 16, 4), bias_back=C(F32, 16)) if n == 2 else {}
        args = dict(x=T(F32, 11, 3, 5), initial_h=T(F32, 3, 4 * n), initial_c=T(F32, 3, 4 * n), weight_ih=C(F32, 16, 5), weight_hh=C(F32, 16, 4), bias=C(F32, 16), direction=direction, output_sequence=sequence, **back)
        case("recurrent", "lstm", args)
        case("recurrent", "lstm", {**args, "x": T(F32, "s0", "s1", 5), "initial_h": T(F32, "s1", 4 * n), "initial_c": T(F32, "s1", 4 * n)}, 7, AB)
        if n == 1:
            args = dict(x=T(F32, 11, 3, 5), initial_h=T(F32, 3, 4), weight_ih=C(F32, 12, 5), weight_hh=C(F32, 12, 4), direction=direction, output_sequence=sequence)
            case("recurrent", "gru", args)
            case("recurrent", "gru", {**args, "x": T(F32, "s0", "s1", 5), "initial_h": T(F32, "s1", 4)}, 8, AB)
            args = dict(x=T(F32, 11, 3, 5), initial_h=T(F32, 3, 4), weight_ih=C(F32, 4, 5), weight_hh=C(F32, 4, 4), direction=direction, output_sequence=sequence)
            case("recurrent", "rnn", args)
            case("recurrent", "rnn", {**args, "x": T(F32, "s0", 3, 5)}, 7, A)
small = dict(x=T(F16, 11, 3, 5), initial_h=T(F16, 3, 4), weight_ih=C(F16, 12, 5), weight_hh=C(F16, 12, 4))
case("recurrent", "gru", small, 7)
case("recurrent", "gru", {**small, "bias": C(F16, 12), "input_bias": C(F16, 12), "reset_after": True}, 8)
case("recurrent", "gru", small, 6, fails=True)
case("recurrent", "gru", {**small, "direction": "bidirectional"}, 7, fails=True)
case("recurrent", "gru", {**small, "weight_hh": C(F16, 8, 4)}, 7, fails=True)
case("recurrent", "gru", {**small, "x": T(F16, 11, 3)}, 7, fails=True)
small = dict(x=T(F16, 11, 3, 5), initial_h=T(F16, 3, 4), initial_c=T(F16, 3, 4), weight_ih=C(F16, 16, 5), weight_hh=C(F16, 16, 4))
case("recurrent", "lstm", small, 7)
case("recurrent", "lstm", {**small, "clip": V(F16, 3.5), "peephole": C(F16, 12), "activation": "scaled_tanh"}, 7)
case("recurrent", "lstm", small, 6, fails=True)
case("recurrent", "lstm", {**small, "weight_ih": C(F16, 12, 5)}, 7, fails=True)
case("recurrent", "lstm", {**small, "direction": "bidirectional"}, 7, fails=True)
case("recurrent", "lstm", {**small, "activation": "gelu"}, 7, fails=True)

# nested blocks
case("control", "cond", dict(pred=T("bool"), _true_fn=lambda f: lambda: mb.fill(shape=[2, 3], value=1.0), _false_fn=lambda f: lambda: mb.fill(shape=[2, 3], value=2.0)))
case("control", "cond", dict(pred=T("bool", 1), _true_fn=lambda f: lambda: (mb.fill(shape=[2, 3], value=1.0), mb.fill(shape=[5], value=1)), _false_fn=lambda f: lambda: (mb.fill(shape=[2, 3], value=2.0), mb.fill(shape=[5], value=2))))
rounds = dict(_cond=lambda f: lambda n, x: mb.less(x=n, y=3), _body=lambda f: lambda n, x: (mb.add(x=n, y=1), mb.mul(x=x, y=2.0)))
case("control", "while_loop", dict(loop_vars=[T("int32"), T(F32, 2, 5)], **rounds))
case("control", "while_loop", dict(loop_vars=[T("int32", 1), T(F32, "s0", 5)], **rounds))
grow = dict(_cond=lambda f: lambda n, x: mb.less(x=n, y=3), _body=lambda f: lambda n, x: (mb.add(x=n, y=1), mb.concat(values=[x, x], axis=0)))
case("control", "while_loop", dict(loop_vars=[T("int32"), T(F32, 2, 5)], **grow))

# lists
case("list", "make_list", dict(init_length=4, elem_shape=[V("int32", 3), V("int32", 5)]))
case("list", "make_list", dict(init_length=T("int32"), dynamic_length=False, elem_shape=[V("int32", 3)], dtype="int32"))
from_list = lambda op, **more: lambda f: mb.make_list(init_length=4, elem_shape=(3, "rows", 5), dtype="fp16")
LS = from_list("")
case("list", "list_length", dict(ls=LS))
case("list", "list_read", dict(ls=LS, index=2))
case("list", "list_write", dict(ls=LS, index=2, value=T(F16, 3, 7, 5)))
case("list", "list_write", dict(ls=LS, index=2, value=T(F16, 3, "s0", 5)))
case("list", "list_gather", dict(ls=LS, indices=[0, 3, 1]))
case("list", "list_gather", dict(ls=LS, indices=T("int32", "s0")), 5, [])
case("list", "list_scatter", dict(ls=LS, indices=[0, 3], value=T(F16, 2, 3, 7, 5)))

# states
case("state", "read_state", dict(input=S(F16, 2, 5, 3)), 8)
case("state", "coreml_update_state", dict(state=S(F16, 2, 5, 3), value=T(F16, 2, 5, 3)), 8)
case("state", "coreml_update_state", dict(state=S(F16, 2, 5, 3), value=T(F16, 2, 3, 5)), 8, fails=True)
case("state", "coreml_update_state", dict(state=S(F16, 2, 5, 3), value=T(F32, 2, 5, 3)), 8, fails=True)

# compressed weights
for opset in (6, 7):
    case("constexpr", "constexpr_affine_dequantize", dict(quantized_data=C("uint8", 4, 3, 5), zero_point=V("uint8", 2), scale=V(F16, 0.5), axis=0), opset)
    case("constexpr", "constexpr_affine_dequantize", dict(quantized_data=C("int8", 4, 3, 5), zero_point=C("int8", 3), scale=C(F32, 3), axis=-2), opset)
    case("constexpr", "constexpr_cast", dict(source_val=C(F16, 3, 7), output_dtype="fp32"), opset)
    case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint8", 16), lut=C(F16, 16), shape=V("uint32", [4, 8])), opset)
    case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint8", 12), lut=C("int8", 64), shape=V("uint32", [5, 3])), opset)
    case("constexpr", "constexpr_sparse_to_dense", dict(nonzero_data=C(F16, 5), mask=V("uint8", [0b1001_0010, 0b0000_0101]), shape=V("uint32", [4, 3])), opset)
case("constexpr", "constexpr_cast", dict(source_val=C(F16, 3, 7), output_dtype="fp32"), 8)
case("constexpr", "constexpr_affine_dequantize", dict(quantized_data=C("uint8", 4, 3, 5), zero_point=V("uint8", 2), scale=C(F16, 4), axis=1), 6, fails=True)
case("constexpr", "constexpr_affine_dequantize", dict(quantized_data=C("uint8", 4, 3, 5), zero_point=V("uint8", 2), scale=C(F16, 4), axis=3), 6, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint8", 11), lut=C("int8", 64), shape=V("uint32", [5, 3])), 6, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint8", 12), lut=C("int8", 63), shape=V("uint32", [5, 3])), 6, fails=True)
case("constexpr", "constexpr_sparse_to_dense", dict(nonzero_data=C(F16, 5), mask=V("uint8", [0b1001_0010, 0b0000_0101]), shape=V("uint32", [4, 5])), 6, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint3", 6, 4), lut=C(F16, 2, 1, 8, 1)), 8)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 3, 2, 4, 5), vector_axis=1), 8)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 3, 2, 4, 5), vector_axis=-2), 8)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 3, 2, 4, 5)), 8, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 3, 2, 8, 1)), 8, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 4, 2, 4, 1)), 8, fails=True)
case("constexpr", "constexpr_lut_to_dense", dict(indices=C("uint2", 6, 4), lut=C(F16, 6, 4, 1)), 8, fails=True)
case("constexpr", "constexpr_lut_to_sparse", dict(indices_mask=V("uint1", [[1, 0, 1], [0, 1, 1]]), indices_nonzero_data=C("uint4", 4), lut=C(F32, 1, 3, 16, 1)), 8)
case("constexpr", "constexpr_lut_to_sparse", dict(indices_mask=V("uint1", [[1, 0, 1], [0, 1, 1]]), indices_nonzero_data=C("uint4", 4), lut=C(F32, 1, 3, 16, 2), vector_axis=0), 8)
case("constexpr", "constexpr_blockwise_shift_scale", dict(data=C("int4", 4, 6, 3), scale=C(F16, 2, 1, 3)), 8)
case("constexpr", "constexpr_blockwise_shift_scale", dict(data=C("uint8", 4, 6, 3), scale=C(F32, 2, 3, 1), offset=C("uint8", 2, 3, 1)), 8)
case("constexpr", "constexpr_blockwise_shift_scale", dict(data=C("uint8", 4, 6, 3), scale=C(F32, 3, 3, 1)), 8, fails=True)
case("constexpr", "constexpr_blockwise_shift_scale", dict(data=C("uint8", 4, 6, 3), scale=C(F32, 2, 3, 1), offset=C("int8", 2, 3, 1)), 8, fails=True)
case("constexpr", "constexpr_blockwise_shift_scale", dict(data=C("uint8", 4, 6, 3), scale=C(F32, 2, 3, 1), offset=C("uint8", 2, 1, 1)), 8, fails=True)
case("constexpr", "constexpr_sparse_blockwise_shift_scale", dict(data_mask=V("uint1", [[1, 0, 1], [0, 1, 1]]), nonzero_data=C("int8", 4), scale=C(F16, 2, 1), offset=C("int8", 2, 1)), 8)
case("constexpr", "constexpr_sparse_to_dense", dict(nonzero_data=C("int8", 4), mask=V("uint1", [[1, 0, 1], [0, 1, 1]])), 8)

# quantising
for axis in (1, -3):
    case("quantize", "quantize", dict(input=T(F16, 2, 5, 3, 7), scale=C(F16, 5), zero_point=C("int8", 5), axis=axis, output_dtype="int8"), 7)
case("quantize", "quantize", dict(input=T(F32, "s0", 5), scale=V(F32, 0.5), output_dtype="uint8"), 7, A)
case("quantize", "dequantize", dict(input=T("uint8", 2, 5, 3), scale=C(F16, 3), zero_point=C("uint8", 3), axis=2), 7)
case("quantize", "dequantize", dict(input=T("int8", 2, 5, 3), scale=V(F32, 0.5)), 8)
case("quantize", "quantize", dict(input=T(F16, 2, 5), scale=C(F16, 5), axis=0, output_dtype="int8"), 7, fails=True)
case("quantize", "quantize", dict(input=T(F16, 2, 5), scale=C(F16, 5), output_dtype="int8"), 7, fails=True)
case("quantize", "quantize", dict(input=T(F16, 2, 5), scale=V(F16, 1.0), axis=0, output_dtype="int8"), 7, fails=True)
case("quantize", "quantize", dict(input=T(F16, 2, 5), scale=V(F16, 1.0), output_dtype="int32"), 7, fails=True)
case("quantize", "quantize", dict(input=T(F16, 2, 5), scale=V(F16, 1.0), zero_point=V("uint8", 3), output_dtype="int8"), 7, fails=True)
case("quantize", "dequantize", dict(input=T("uint8", 2, 5, 3), scale=C(F16, 3), zero_point=V("uint8", 3), axis=2), 7, fails=True)

# random numbers
case("random", "random_bernoulli", dict(shape=[2, 3, 5], prob=V(F16, 0.25)))
case("random", "random_normal", dict(shape=[2, 3, 5], mean=V(F16, 0.25), stddev=V(F16, 2.0), seed=5))
case("random", "random_uniform", dict(shape=T("int32", 3), low=V(F32, 0.25), high=V(F32, 2.0)))
case("random", "random_uniform", dict(shape=T("int32", "s0")))
case("random", "random_normal", dict(shape=[7]))
case("random", "random_normal", dict(shape=[7], mean=V(F16, 0.25), stddev=V(F32, 2.0)), fails=True)
case("random", "random_categorical", dict(x=T(F16, "s0", 7), size=3), 5, A)
case("random", "random_categorical", dict(x=T(F32, 2, 7), mode="probs"))

# resizing
for opset in (5, 6, 7):
    case("resize", "upsample_bilinear", dict(x=T(F16, 2, 3, 5, 7), scale_factor_height=2, scale_factor_width=3), opset)
case("resize", "upsample_bilinear", dict(x=T(F16, 3, 5, 7), scale_factor_width=3, half_pixel_centers=False, align_corners=False), 6)
for op in ("upsample_bilinear", "upsample_nearest_neighbor"):
    for h, w in ((10 / 7, 0.7), (1.1, 1.5), (2.5, 0.1), (3.0, 1 / 3)):
        case("resize", op, dict(x=T(F32, 2, 3, 7, 10), scale_factor_height=V(F32, h), scale_factor_width=V(F32, w)))
    case("resize", op, dict(x=T(F32, 2, 3, 7, 10)))
    case("resize", op, dict(x=T(F32, 2, 3, "s0", "s1"), scale_factor_height=V(F32, 2.0), scale_factor_width=V(F32, 3.0)), 5, AB)
    case("resize", op, dict(x=T(F32, 2, 3, "s0", "s1"), scale_factor_height=V(F32, 2.5), scale_factor_width=V(F32, 1.0)), 5, AB)
    case("resize", op, dict(x=T(F32, 7, 10)), fails=True)
case("resize", "resize_nearest_neighbor", dict(x=T(F16, 2, 3, "s0", 7), target_size_height=11, target_size_width=4), 5, A)
case("resize", "resize_bilinear", dict(x=T(F16, 2, 3, 5, 7), target_size_height=11, target_size_width=4, sampling_mode="UNALIGN_CORNERS"))
case("resize", "resize_bilinear", dict(x=T(F16, 2, 3, 5, 7), target_size_width=4))
case("resize", "resize_bilinear", dict(x=T(F16, 2, 3, 5, 7), sampling_mode="HALF"), fails=True)
case("resize", "resize", dict(x=T(F16, 2, 3, 5, 7), shape=[11, 4], resized_dims=V("uint32", 2)), 7)
case("resize", "resize", dict(x=T(F16, 2, 3, 5, 7), shape=[9, 11, 4], resized_dims=V("uint32", 2), interpolation_mode="NEAREST_NEIGHBOR"), 7)
case("resize", "resize", dict(x=T(F16, 2, 3, "s0", 7), shape=[6, 0, 4], resized_dims=V("uint32", 3)), 7, A)
case("resize", "resize", dict(x=T(F16, 2, 3, 5, 7), shape=T("int32", 2), resized_dims=V("uint32", 1)), 8)
case("resize", "resize", dict(x=T(F16, 2, 3, 5, 7), shape=[11, 4], resized_dims=V("uint32", 3)), 7, fails=True)
case("resize", "resize", dict(x=T(F16, 2, 3), shape=[11, 4, 5], resized_dims=V("uint32", 1)), 7, fails=True)
case("resize", "resize", dict(x=T(F16, 2, 3, 5, 7), shape=[11, 4], resized_dims=V("uint32", 2), interpolation_mode="CUBIC"), 7, fails=True)
case("resize", "crop", dict(x=T(F16, 2, 3, 9, 11), crop_height=[1, 3], crop_width=[2, 0]))
case("resize", "crop", dict(x=T(F16, 3, "s0", "s1"), crop_height=[1, 3], crop_width=[2, 0]), 5, AB)
case("resize", "crop", dict(x=T(F16, 3, 9, 11), crop_height=[1, 3, 1], crop_width=[2, 0]), fails=True)

# reading at computed places
box = dict(target_height=6, target_width=9)
case("sample", "crop_resize", dict(x=T(F32, 2, 3, 11, 13), roi=T(F32, 5, 1, 4, 1, 1), **box))
case("sample", "crop_resize", dict(x=T(F32, "s0", 3, 11, 13), roi=T(F32, "s1", 1, 5, 1, 1), **box), 5, AB)
case("sample", "crop_resize", dict(x=T(F16, 2, 3, 11, 13), roi=T(F16, 5, 1, 4, 1, 1), pad_value=V(F16, 1.0), **box), 6)
case("sample", "crop_resize", dict(x=T(F16, 8, 3, 11, 13), boxes=T(F32, 5, 4), **box), 7)
case("sample", "crop_resize", dict(x=T(F16, 2, 3, 11, 13), boxes=T("uint16", 5, 4), box_indices=[0, 1, 1, 0, 1]), 7)
case("sample", "crop_resize", dict(x=T(F16, 2, 3, 11, 13), boxes=T("uint16", 5, 4), box_indices=[0, 1, 1, 0, 1], normalized_coordinates=True), 7, fails=True)
case("sample", "crop_resize", dict(x=T(F16, 2, 3, 11, 13), boxes=T(F32, 5, 4), box_indices=[0, 1, 1, 0]), 7, fails=True)
case("sample", "crop_resize", dict(x=T(F16, 8, 3, 11, 13), boxes=T(F32, 5, 5), **box), 7, fails=True)
case("sample", "crop_resize", dict(x=T(F32, 2, 3, 11, 13), roi=T(F32, 5, 4), **box), fails=True)
case("sample", "crop_resize", dict(x=T(F32, 2, 3, 11, 13), roi=T(F32, 5, 1, 4, 1, 1), box_coordinate_mode="CORNERS"), fails=True)
places = dict(sampling_mode="bilinear", padding_mode="constant", coordinates_mode="unnormalized", align_corners=True)
for opset, x, at in ((5, F32, "int32"), (5, F16, F32), (6, F16, F16), (7, F16, "uint16")):
    case("sample", "resample", dict(x=T(x, 2, 3, 11, 13), coordinates=T(at, 2, 6, 9, 2), padding_value=V(x, 0.0), **places), opset)
case("sample", "resample", dict(x=T(F32, 2, 3, 11, 13), coordinates=T(F32, 2, "s0", "s1", 2), padding_value=V(F32, 0.0), **places), 5, AB)
case("sample", "resample", dict(x=T(F16, 2, 3, 11, 13), coordinates=T(F16, 2, 6, 9, 2), padding_value=V(F16, 0.0), **places), 5, fails=True)
case("sample", "resample", dict(x=T(F32, 2, 3, 11, 13), coordinates=T(F32, 3, 6, 9, 2), padding_value=V(F32, 0.0), **places), fails=True)
case("sample", "resample", dict(x=T(F32, 2, 3, 11, 13), coordinates=T(F32, 2, 6, 9, 3), padding_value=V(F32, 0.0), **places), fails=True)
turn = dict(output_height=6, output_width=9, sampling_mode="bilinear", padding_mode="constant", padding_value=V(F32, 0.0), coordinates_mode="normalized_minus_one_to_one", align_corners=True)
case("sample", "affine", dict(x=T(F32, 2, 3, 11, 13), transform_matrix=T(F32, 2, 6), **turn))
case("sample", "affine", dict(x=T(F32, "s0", 3, 11, 13), transform_matrix=C(F32, 1, 6), **turn), 8, A)
case("sample", "affine", dict(x=T(F32, 2, 3, 11, 13), transform_matrix=T(F32, 2, 5), **turn), fails=True)
case("sample", "affine", dict(x=T(F32, 2, 3, 11, 13), transform_matrix=T(F32, 2, 6), **{**turn, "sampling_mode": "nearest"}), fails=True)

# labels
probabilities = T(F32, 1, 3)
for labels in (["cat", "dog", "eel"], [np.int64(5), np.int64(3), np.int64(9)]):
    classes = lambda f, labels=labels: mb.const(val=mil_list(labels))
    case("classify", "classify", dict(probabilities=probabilities, classes=classes))
    case("classify", "classify", dict(probabilities=T(F32, "s0"), classes=classes), 8)

# attention
case("attention", "scaled_dot_product_attention", dict(query=T(F16, 2, 5, 4), key=T(F16, 2, 7, 4), value=T(F16, 2, 7, 3)), 8)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 6, 5, 4), key=T(F32, 2, 6, 7, 4), value=T(F32, 2, 6, 7, 3), attn_mask=T("bool", 5, 7)), 8)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 6, "s0", 4), key=T(F32, 2, 6, "s1", 4), value=T(F32, 2, 6, "s1", 3), attn_mask=T(F32, 1, 1, "s0", "s1")), 8, AB)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 5, 4), key=T(F32, 2, 7, 3), value=T(F32, 2, 7, 3)), 8, fails=True)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 5, 4), key=T(F32, 2, 7, 4), value=T(F32, 2, 6, 3)), 8, fails=True)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 5, 4), key=T(F32, 1, 7, 4), value=T(F32, 2, 7, 3)), 8, fails=True)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 5, 4), key=T(F32, 7, 4), value=T(F32, 7, 3)), 8, fails=True)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 5, 4), key=T(F32, 2, 7, 4), value=T(F32, 2, 7, 3), attn_mask=T(F32, 5, 6)), 8, fails=True)
case("attention", "scaled_dot_product_attention", dict(query=T(F32, 2, 5, 4), key=T(F16, 2, 7, 4), value=T(F32, 2, 7, 3)), 8, fails=True)

write(sys.argv[1:])

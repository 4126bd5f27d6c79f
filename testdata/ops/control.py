"""Ops that only a program around them shows: branches, loops, lists, states, classes, chance."""
import numpy as np
import torch
from golden import Typed, b, case, f16, f32, i32, program, rand, raw, text

NP = dict(truth="numpy")
x = f32(rand(2, 3))
COND = """func main<CoreML5>(tensor<bool, []> p, tensor<fp32, [2, 3]> x) {
    y, z = cond(pred = p) { t = exp(x = x); } -> (t, x), { u = mul(x = x, y = 2.0); v = add(x = u, y = x); } -> (u, v);
    w = sub(x = y, y = z);
} -> (y, z, w);"""
for p in (True, False):
    y, z = (np.exp(x.n), x.n) if p else (2 * x.n, 3 * x.n)
    program(f"cond, {p}", ["cond"], COND, {"p": b(p), "x": x}, (y, z, y - z), within="curve", **NP)
LOOP = """func main<CoreML5>(tensor<int32, []> n, tensor<fp32, [2, 3]> x) {
    i, y = while_loop(loop_vars = (int32(0), x)) (a, b) { go = less(x = a, y = n); } -> (go),
        (c, d) { e = add(x = c, y = 1); f = mul(x = d, y = 1.5); g = add(x = f, y = x); } -> (e, g);
} -> (i, y);"""
for n in (0, 1, 4):
    y = x.n
    for _ in range(n):
        y = y * 1.5 + x.n
    program(f"while_loop, {n} rounds", ["while_loop"], LOOP, {"n": i32(n), "x": x}, (i32(n), y), **NP)
NESTED = """func main<CoreML5>(tensor<int32, []> n, tensor<fp32, [3]> x) {
    i, y = while_loop(loop_vars = (int32(0), x)) (a, b) { go = less(x = a, y = n); } -> (go), (c, d) {
        odd = mod(x = c, y = 2);
        is_odd = equal(x = odd, y = 1);
        f = cond(pred = is_odd) { t = add(x = d, y = x); } -> (t), {
            j, s = while_loop(loop_vars = (c, d)) (k, l) { on = less(x = k, y = 3); } -> (on), (m, o) {
                q = add(x = m, y = 1); r = mul(x = o, y = 0.5); } -> (q, r);
        } -> (s);
        e = add(x = c, y = 1);
    } -> (e, f);
} -> (y);"""
x3 = f32([1, -2, 8])
for n in (2, 3, 5):
    y = x3.n
    for c in range(n):
        if c % 2:
            y = y + x3.n
        else:
            y = y * 0.5 ** max(3 - c, 0)
    program(f"while_loop, nested with branches, {n} rounds", ["while_loop", "cond"], NESTED, {"n": i32(n), "x": x3}, y, **NP)
GROW = """func main<CoreML5>(tensor<int32, []> n, tensor<fp32, [?, 2]> x) {
    i, y = while_loop(loop_vars = (int32(0), x)) (a, tensor<fp32, [?, 2]> b) { go = less(x = a, y = n); } -> (go), (c, tensor<fp32, [?, 2]> d) {
        e = add(x = c, y = 1); tensor<fp32, [?, 2]> f = concat(values = (d, x), axis = 0, interleave = false); } -> (e, f);
} -> (y);"""
x2 = f32(rand(2, 2))
program("while_loop, an extent that grows", ["while_loop"], GROW, {"n": i32(2), "x": x2}, np.tile(x2.n, (3, 1)), **NP)

# ---------------------------------------------------------------- lists
LIST = """func main<CoreML5>(tensor<fp32, [2, 3]> x) {
    l0 = make_list(init_length = 3, dynamic_length = true, elem_shape = (3), dtype = "fp32");
    row0 = slice_by_index(x = x, begin = [0, 0], end = [1, 3], squeeze_mask = [true, false]);
    row1 = slice_by_index(x = x, begin = [1, 0], end = [2, 3], squeeze_mask = [true, false]);
    l1 = list_write(ls = l0, index = 1, value = row0);
    l2 = list_write(ls = l1, index = 2, value = row1);
    l3 = list_scatter(ls = l2, indices = [0, 1], value = x);
    n = list_length(ls = l3);
    r = list_read(ls = l3, index = 2);
    g = list_gather(ls = l3, indices = [1, 0, 2, 1]);
} -> (n, r, g);"""
program("lists", ["list_gather", "list_length", "list_read", "list_scatter", "list_write", "make_list"], LIST, {"x": x}, (i32(3), x.n[1], x.n[[1, 0, 1, 1]]), within="exact", **NP)
GROWING = """func main<CoreML5>(tensor<fp32, [2]> x) {
    l0 = make_list(init_length = 1, dynamic_length = true, elem_shape = (2), dtype = "fp32");
    l1 = list_write(ls = l0, index = 0, value = x);
    l2 = list_write(ls = l1, index = 1, value = x);
    n = list_length(ls = l2);
    g = list_gather(ls = l2, indices = [0, 1]);
} -> (n, g);"""
x2 = f32([1.5, -2])
program("a list that grows", ["list_write", "list_length"], GROWING, {"x": x2}, (i32(2), np.stack([x2.n, x2.n])), within="exact", **NP)
LOOPED = """func main<CoreML5>(tensor<fp32, [4, 2]> x) {
    l0 = make_list(init_length = 4, dynamic_length = false, elem_shape = (2), dtype = "fp32");
    i, l = while_loop(loop_vars = (int32(0), l0)) (a, b) { go = less(x = a, y = 4); } -> (go), (c, d) {
        row = gather(x = x, indices = c, axis = 0); twice = mul(x = row, y = 2.0);
        at = sub(x = 3, y = c);
        f = list_write(ls = d, index = at, value = twice); e = add(x = c, y = 1); } -> (e, f);
    g = list_gather(ls = l, indices = [0, 1, 2, 3]);
} -> (g);"""
x4 = f32(rand(4, 2))
program("a list filled in a loop", ["list_write", "list_gather", "while_loop"], LOOPED, {"x": x4}, 2 * x4.n[::-1], **NP)

# ---------------------------------------------------------------- states: `steps` runs with the state kept in between
STATE = """func main<CoreML8>(tensor<fp32, [3]> x, state<tensor<fp32, [3]>> s) {
    old = read_state(input = s);
    sum = add(x = old, y = x);
    write_state(input = s, data = sum);
    new = read_state(input = s);
    y = mul(x = new, y = 2.0);
} -> (y, old);"""
x3 = f32([1, -2, 0.5])
program("states over three steps", ["read_state", "write_state"], STATE, {"x": x3}, (6 * x3.n, 2 * x3.n), steps=3, **NP)
UPDATE = """func main<CoreML8>(tensor<fp16, [2]> x, state<tensor<fp16, [2]>> s) {
    old = read_state(input = s);
    sum = add(x = old, y = x);
    new = coreml_update_state(state = s, value = sum);
} -> (new, old);"""
x2 = f16([1, -2])
program("coreml_update_state over two steps", ["coreml_update_state", "read_state"], UPDATE, {"x": x2}, (2 * x2.n, x2.n), steps=2, dtype="fp16", **NP)
SLICE = """func main<CoreML8>(tensor<fp32, [1, 2]> x, state<tensor<fp32, [3, 2]>> s) {
    old = read_state(input = s);
    moved = slice_update(x = old, update = x, begin = [1, 0], end = [2, 2]);
    write_state(input = s, data = moved);
    y = reduce_sum(x = moved, axes = [0]);
} -> (y, moved);"""
x12 = f32([[3, -4]])
program("a state written in part", ["write_state", "read_state"], SLICE, {"x": x12}, (x12.n[0], np.array([[0, 0], [3, -4], [0, 0]])), steps=2, **NP)

# ---------------------------------------------------------------- classes
p = f32([0.1, 0.6, 0.3])
case("classify, text labels", "classify", {"probabilities": p}, {"classes": Typed("string", ["cat", "dog", "emu"])}, text("dog"), classes=["cat", "dog", "emu"], truth="numpy", within="exact")

# ---------------------------------------------------------------- chance: bounds that a sample of this size keeps but once in a million
N = i32([40, 50, 5])
for name, op, consts, chance in (
        ("random_normal, defaults", "random_normal", {}, {"mean": [-0.05, 0.05], "var": [0.93, 1.07], "distinct": 9000}),
        ("random_normal", "random_normal", {"mean": f32(3), "stddev": f32(0.5)}, {"mean": [2.97, 3.03], "var": [0.23, 0.27], "distinct": 9000}),
        ("random_uniform, defaults", "random_uniform", {}, {"mean": [0.485, 0.515], "var": [0.080, 0.0867], "least": [0, 0.01], "most": [0.99, 0.99999999], "distinct": 9000}),
        ("random_uniform", "random_uniform", {"low": f32(-2), "high": f32(3)}, {"mean": [0.42, 0.58], "var": [2.0, 2.17], "least": [-2, -1.95], "most": [2.95, 3], "distinct": 9000}),
        ("random_uniform, fp16", "random_uniform", {"low": f16(1), "high": f16(2)}, {"mean": [1.485, 1.515], "var": [0.080, 0.0867], "least": [1, 1.01], "most": [1.99, 2]}),
        ("random_bernoulli, defaults", "random_bernoulli", {}, {"mean": [0.475, 0.525], "var": [0.249, 0.2501], "values": [0, 1]}),
        ("random_bernoulli", "random_bernoulli", {"prob": f32(0.2)}, {"mean": [0.18, 0.22], "var": [0.147, 0.172], "values": [0, 1]})):
    dtype = "fp16" if name.endswith("fp16") else "fp32"
    case(name, op, {}, {"shape": N, **consts, "seed": i32(7)}, None, chance={**chance, "shape": [40, 50, 5], "dtype": dtype}, truth="formula")
logits = f32(np.log([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]))
case("random_categorical, logits", "random_categorical", {"x": logits}, {"size": i32(4000), "seed": i32(3)}, None, chance={"shape": [2, 4000], "dtype": "fp32", "rows": [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]}, truth="formula")
case("random_categorical, probs", "random_categorical", {"x": f32([[0.2, 0.5, 0.3]])}, {"size": i32(4000), "mode": text("probs"), "seed": i32(3)}, None, chance={"shape": [1, 4000], "dtype": "fp32", "rows": [[0.2, 0.5, 0.3]]}, truth="formula")

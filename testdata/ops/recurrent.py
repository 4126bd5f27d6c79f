"""LSTM, GRU and simple recurrence: both directions, every activation, peepholes, clipping."""
import numpy as np
import torch
from golden import b, case, f16, f32, rand, text

S, B, I, H = 4, 2, 3, 2
# models hold the slope of the hard sigmoid in 32 bits
SLOPE = float(np.float32(0.2))
sigmoid = lambda v: 1 / (1 + np.exp(-v))
ACT = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda v: np.maximum(v, 0), "linear": lambda v: v, "scaled_tanh": np.tanh,
       "hard_sigmoid": lambda v: np.clip(SLOPE * v + 0.5, 0, 1), "sigmoid_hard": lambda v: np.clip(SLOPE * v + 0.5, 0, 1)}


def steps(x, direction):
    return x if direction == "forward" else x[::-1]


def lstm(x, h, c, wi, wh, bias, peep, direction, acts, clip):
    """Gates in the order input, forget, output, cell; the cell is clipped before the output gate sees it."""
    inner, cell, outer = (ACT[a] for a in acts)
    peep = np.zeros(3 * H) if peep is None else peep
    out = []
    for row in steps(x, direction):
        z = row @ wi.T + h @ wh.T + bias
        i, f, o, g = np.split(z, 4, -1)
        pi, pf, po = np.split(peep, 3)
        c = inner(f + pf * c) * c + inner(i + pi * c) * cell(g)
        c = np.clip(c, -clip, clip) if clip else c
        h = inner(o + po * c) * outer(c)
        out.append(h)
    return np.stack(out), h, c


def weights(of=f32, gates=4):
    return {"weight_ih": of(rand(gates * H, I, lo=-1, hi=1)), "weight_hh": of(rand(gates * H, H, lo=-1, hi=1)), "bias": of(rand(gates * H, lo=-1, hi=1))}


def run_lstm(name, direction="forward", sequence=True, acts=("sigmoid", "tanh", "tanh"), peephole=False, clip=None, bias=True, of=f32, opset=15, defaults=False):
    n = 2 if direction == "bidirectional" else 1
    x, h, c = of(rand(S, B, I)), of(rand(B, n * H)), of(rand(B, n * H))
    sides = [weights(of) for _ in range(n)]
    consts, parts = {}, []
    for k, w in enumerate(sides):
        tail = "_back" if k else ""
        if peephole:
            w["peephole"] = of(rand(3 * H, lo=-1, hi=1))
        if not bias:
            del w["bias"]
        consts.update({key + tail: v for key, v in w.items()})
        one = direction if n == 1 else ("forward", "reverse")[k]
        at = slice(k * H, k * H + H)
        y, hn, cn = lstm(x.n, h.n[:, at], c.n[:, at], w["weight_ih"].n, w["weight_hh"].n, w["bias"].n if bias else 0, w["peephole"].n if peephole else None, one, acts, clip)
        # with both directions each step's two halves belong to the same input
        parts.append((y[::-1] if n == 2 and k else y, y[-1:], hn, cn))
    full = np.concatenate([p[0] for p in parts], -1)
    last = np.concatenate([p[1] for p in parts], -1)
    # a reversed sequence comes out in the order in which it is computed
    consts["direction"] = text(direction)
    consts["output_sequence"] = b(sequence)
    if not defaults:
        consts.update(zip(("recurrent_activation", "cell_activation", "activation"), map(text, acts)))
    if clip:
        consts["clip"] = of(clip)
    case(name, "lstm", {"x": x, "initial_h": h, "initial_c": c}, consts, (full if sequence else last, np.concatenate([p[2] for p in parts], -1), np.concatenate([p[3] for p in parts], -1)), truth="formula", within="curve", opset=opset)


def torch_lstm(name, both):
    """Torch orders the gates input, forget, cell, output."""
    n = 2 if both else 1
    net = torch.nn.LSTM(I, H, bidirectional=both).double()
    x, h, c = f32(rand(S, B, I)), f32(rand(B, n * H)), f32(rand(B, n * H))
    consts = {}
    order = lambda w: np.concatenate([np.split(w, 4)[k] for k in (0, 1, 3, 2)])
    with torch.no_grad():
        for k in range(n):
            w, tail = weights(), "_reverse" if k else ""
            for key, v in (("weight_ih_l0", w["weight_ih"].n), ("weight_hh_l0", w["weight_hh"].n), ("bias_ih_l0", w["bias"].n), ("bias_hh_l0", 0 * w["bias"].n)):
                getattr(net, key + tail).copy_(torch.tensor(order(v)))
            consts.update({key + ("_back" if k else ""): v for key, v in w.items()})
        split = lambda v: torch.stack(v.t.split(H, -1))
        y, (hn, cn) = net(x.t, (split(h), split(c)))
    join = lambda v: torch.cat(list(v), -1)
    case(name, "lstm", {"x": x, "initial_h": h, "initial_c": c}, {**consts, "direction": text("bidirectional" if both else "forward"), "output_sequence": b(True)}, (y, join(hn), join(cn)), within="curve")


torch_lstm("lstm as torch", False)
torch_lstm("lstm as torch, both directions", True)
for direction in ("forward", "reverse", "bidirectional"):
    run_lstm(f"lstm, {direction}, the last step", direction, False)
    run_lstm(f"lstm, {direction}, peephole, clip", direction, True, peephole=True, clip=0.25)
run_lstm("lstm, reverse, the sequence", "reverse", True)
run_lstm("lstm, no bias, defaults", bias=False, defaults=True)
for acts in (("hard_sigmoid", "relu", "linear"), ("tanh", "sigmoid", "scaled_tanh"), ("relu", "linear", "hard_sigmoid")):
    run_lstm(f"lstm, {' '.join(acts)}", acts=acts)
run_lstm("lstm, fp16", of=f16, opset=17)


def gru(x, h, wi, wh, bias, direction, acts, after=None):
    """Gates in the order reset, output, update. `after`: the other bias, where the reset gate scales the product."""
    inner, outer = (ACT[a] for a in acts)
    out = []
    (wr, wo, wz), (hr, ho, hz), (br, bo, bz) = np.split(wi, 3), np.split(wh, 3), np.split(bias, 3)
    ar, ao, az = np.split(np.zeros(3 * H) if after is None else after, 3)
    for row in steps(x, direction):
        r = inner(row @ wr.T + h @ hr.T + br + ar)
        z = inner(row @ wz.T + h @ hz.T + bz + az)
        o = row @ wo.T + (r * h) @ ho.T + bo if after is None else row @ wo.T + ao + r * (h @ ho.T + bo)
        h = (1 - z) * outer(o) + z * h
        out.append(h)
    return np.stack(out), h


for direction in ("forward", "reverse"):
    for sequence in (True, False):
        for acts in (("sigmoid", "tanh"), ("tanh", "sigmoid")):
            x, h, w = f32(rand(S, B, I)), f32(rand(B, H)), weights(gates=3)
            y, hn = gru(x.n, h.n, w["weight_ih"].n, w["weight_hh"].n, w["bias"].n, direction, acts)
            consts = {**w, "direction": text(direction), "output_sequence": b(sequence), "recurrent_activation": text(acts[0]), "activation": text(acts[1])}
            case(f"gru, {direction}, sequence {sequence}, {' '.join(acts)}", "gru", {"x": x, "initial_h": h}, consts, (y if sequence else y[-1:], hn), truth="formula", within="curve")
x, h, w = f16(rand(S, B, I)), f16(rand(B, H)), weights(f16, 3)
y, hn = gru(x.n, h.n, w["weight_ih"].n, w["weight_hh"].n, w["bias"].n, "forward", ("sigmoid", "tanh"))
case("gru, fp16", "gru", {"x": x, "initial_h": h}, {**w, "output_sequence": b(True)}, (y, hn), truth="formula", within="curve", opset=17)
w = weights(gates=3)
x, h = f32(rand(S, B, I)), f32(rand(B, H))
del_bias = {k: v for k, v in w.items() if k != "bias"}
y, hn = gru(x.n, h.n, w["weight_ih"].n, w["weight_hh"].n, np.zeros(3 * H), "forward", ("sigmoid", "tanh"))
case("gru, no bias, defaults", "gru", {"x": x, "initial_h": h}, del_bias, (y[-1:], hn), truth="formula", within="curve")
net = torch.nn.GRU(I, H).double()
other = f32(rand(3 * H))
order = lambda v: torch.tensor(np.concatenate([np.split(v, 3)[k] for k in (0, 2, 1)]))
with torch.no_grad():
    for key, v in (("weight_ih_l0", w["weight_ih"].n), ("weight_hh_l0", w["weight_hh"].n), ("bias_ih_l0", other.n), ("bias_hh_l0", w["bias"].n)):
        getattr(net, key).copy_(order(v))
    y, hn = net(x.t, h.t[None])
case("gru as torch: reset_after", "gru", {"x": x, "initial_h": h}, {**w, "input_bias": other, "reset_after": b(True), "output_sequence": b(True)}, (y, hn[0]), within="curve", opset=18)


def rnn(x, h, wi, wh, bias, direction, act):
    out = []
    for row in steps(x, direction):
        h = ACT[act](row @ wi.T + h @ wh.T + bias)
        out.append(h)
    return np.stack(out), h


for act in ("tanh", "relu", "sigmoid", "linear", "sigmoid_hard", "scaled_tanh"):
    direction, sequence = ("reverse", False) if act == "relu" else ("forward", True)
    x, h, w = f32(rand(S, B, I)), f32(rand(B, H)), weights(gates=1)
    y, hn = rnn(x.n, h.n, w["weight_ih"].n, w["weight_hh"].n, w["bias"].n, direction, act)
    case(f"rnn, {act}, {direction}", "rnn", {"x": x, "initial_h": h}, {**w, "direction": text(direction), "output_sequence": b(sequence), "activation": text(act)}, (y if sequence else y[-1:], hn), truth="formula", within="curve")
x, h, w = f32(rand(S, B, I)), f32(rand(B, H)), weights(gates=1)
net = torch.nn.RNN(I, H).double()
with torch.no_grad():
    for key, v in (("weight_ih_l0", w["weight_ih"].n), ("weight_hh_l0", w["weight_hh"].n), ("bias_ih_l0", w["bias"].n), ("bias_hh_l0", 0 * w["bias"].n)):
        getattr(net, key).copy_(torch.tensor(v))
    y, hn = net(x.t, h.t[None])
case("rnn as torch", "rnn", {"x": x, "initial_h": h}, {**w, "output_sequence": b(True)}, (y, hn[0]), within="curve")

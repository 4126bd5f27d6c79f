"""Cases of make_generated.py: recurrent layers of NeuralNetworks."""

import coremltools as ct
import numpy as np
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from network import case, draw


class Sequences:
    """A builder of networks of sequences `[Seq, B, C, 1, 1]`: inputs of rank 5 in the exact mapping of arrays, or of rank
    3 in the older one, whose rows a layer makes steps."""

    def __init__(self, outputs, exact=True, **inputs):
        features = [(k, datatypes.Array(*v.shape)) for k, v in inputs.items()]
        self.b = NeuralNetworkBuilder(features, [(o, None) for o in outputs], disable_rank5_shape_mapping=exact)

    def variants(self):
        made = {"nn": ct.models.MLModel(self.b.spec, skip_model_load=True)}
        half = type(self.b.spec)()
        half.CopyFrom(self.b.spec)
        for layer in half.neuralNetwork.layers:
            narrow(layer)
        made["nn-fp16w"] = ct.models.MLModel(half, skip_model_load=True)
        return made


def narrow(message):
    """Weights of a layer as 16-bit floats."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if hasattr(value, "add") else [value]:
            if field.message_type.name != "WeightParams":
                narrow(part)
            elif part.floatValue:
                part.float16Value = np.array(part.floatValue, dtype=np.float16).tobytes()
                part.ClearField("floatValue")


def matrices(seed, count, *shape):
    """Weights small enough that no gate is flat."""
    return [draw(seed + i, *shape) / 2 for i in range(count)]


def as_sequence(x, batch=1):
    """`[Seq, B, C]` as Core ML has it."""
    return x.reshape(x.shape[0], batch, -1, 1, 1).astype(np.float32)


ACTIVATIONS = {
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0),
    "LINEAR": lambda x: x,
    "SIGMOID_HARD": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}


def lstm(x, weights, states, gate="SIGMOID", cell="TANH", out="TANH", peep=None, clip=np.inf, forget=0.0, reverse=False):
    """Each step's state, and the last cell state; gates in the order input, forget, output, block input."""
    s, g, k = (ACTIVATIONS[a] for a in (gate, cell, out))
    recursion, input_, bias = ([np.float64(m) for m in w] for w in weights)
    p = [np.float64(v) for v in peep] if peep else [0.0, 0.0, 0.0]
    h, c = (np.float64(v) for v in states)
    steps = []
    for v in np.float64(x)[::-1] if reverse else np.float64(x):
        i, f, o, z = (v @ w.T + h @ r.T + b for w, r, b in zip(input_, recursion, bias))
        i, f = s(i + p[0] * c), s(f + p[1] * c + forget)
        c = np.clip(f * c + i * g(z), -clip, clip)
        h = s(o + p[2] * c) * k(c)
        steps.append(h)
    return np.stack(steps), c


def gru(x, weights, state, gate="SIGMOID", out="TANH", reverse=False):
    """Each step's state; gates in the order update, reset, output."""
    s, g = ACTIVATIONS[gate], ACTIVATIONS[out]
    recursion, input_, bias = ([np.float64(m) for m in w] for w in weights)
    h, steps = np.float64(state), []
    at = lambda x: np.clip(x, -50, 50)  # noqa: E731
    for v in np.float64(x)[::-1] if reverse else np.float64(x):
        wz, wr, wo = (v @ w.T + b for w, b in zip(input_, bias))
        z, r = s(at(wz + h @ recursion[0].T)), s(at(wr + h @ recursion[1].T))
        h = (1 - z) * g(at(wo + (r * h) @ recursion[2].T)) + z * h
        steps.append(h)
    return np.stack(steps)


@case
def n045_simple_recurrent():
    """simpleRecurrent: tanh with a bias, in a batch; ReLU backwards, the last step alone."""
    x, state, first = draw(601, 5, 2, 3), draw(602, 1, 2, 4), draw(608, 1, 2, 6)
    w, r, b = draw(603, 4, 3) / 2, draw(604, 4, 4) / 2, draw(605, 4)
    w2, r2 = draw(606, 6, 4) / 2, draw(607, 6, 6) / 2
    inputs = {"x": as_sequence(x, 2), "state": as_sequence(state, 2), "first": as_sequence(first, 2)}
    n = Sequences(["steps", "last", "end"], **inputs)
    n.b.add_simple_rnn("rnn", r, w, b, 4, 3, "TANH", ["x", "state"], ["steps", "last"], output_all=True)
    n.b.add_simple_rnn("relu", r2, w2, None, 6, 4, "RELU", ["steps", "first"], ["end", "same"], reverse_input=True)
    rnn = torch.nn.RNN(3, 4)
    relu = torch.nn.RNN(4, 6, nonlinearity="relu", bias=False)
    with torch.no_grad():
        for p, v in zip(rnn.parameters(), [w, r, b, 0 * b]):
            p.copy_(torch.from_numpy(v))
        for p, v in zip(relu.parameters(), [w2, r2]):
            p.copy_(torch.from_numpy(v))
        steps, last = rnn(torch.from_numpy(x), torch.from_numpy(state))
        _, end = relu(steps.flip(0), torch.from_numpy(first))
    truth = {"steps": as_sequence(steps.numpy(), 2), "last": as_sequence(last.numpy(), 2), "end": as_sequence(end.numpy(), 2)}
    return n, inputs, truth


@case
def n046_unidirectional_lstm():
    """uniDirectionalLSTM: plain with states and a forget bias; peepholes, clipping and other activations, backwards."""
    x, h, c = draw(611, 4, 2, 3), draw(612, 1, 2, 5), draw(613, 1, 2, 5)
    r, w, b = matrices(620, 4, 5, 5), matrices(630, 4, 5, 3), matrices(640, 4, 5)
    r2, w2, b2, p2 = matrices(650, 4, 4, 4), matrices(660, 4, 4, 5), matrices(670, 4, 4), matrices(680, 3, 4)
    n = Sequences(["steps", "h1", "c1", "end", "c2"], x=as_sequence(x, 2), h=as_sequence(h, 2), c=as_sequence(c, 2))
    n.b.add_unilstm(
        "plain", r, w, b, 5, 3, ["x", "h", "c"], ["steps", "h1", "c1"], output_all=True, forget_bias=True,
        cell_clip_threshold=50000.0,
    )
    n.b.add_unilstm(
        "odd", r2, w2, b2, 4, 5, ["steps"], ["end", "h2", "c2"], inner_activation="SIGMOID_HARD",
        cell_state_update_activation="RELU", output_activation="LINEAR", peep=p2, reverse_input=True,
        cell_clip_threshold=0.1875,
    )
    steps, c1 = lstm(x, (r, w, b), (h[0], c[0]), forget=1.0)
    plain = torch.nn.LSTM(3, 5)
    b[1] = b[1] + 1
    with torch.no_grad():
        stacked = [np.concatenate([m[i] for i in (0, 1, 3, 2)]) for m in (w, r, b)]
        for p, v in zip(plain.parameters(), [*stacked, 0 * stacked[-1]]):
            p.copy_(torch.from_numpy(v))
        by_torch, _ = plain(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    assert np.abs(by_torch.numpy() - steps).max() < 1e-6
    zero = np.zeros((2, 4))
    more, c2 = lstm(
        steps, (r2, w2, b2), (zero, zero), "SIGMOID_HARD", "RELU", "LINEAR", p2, clip=0.1875, reverse=True
    )
    assert (np.abs(c2) == 0.1875).any() and (np.abs(c2) < 0.1875).any()
    truth = {"steps": steps, "h1": steps[-1:], "c1": c1[None], "end": more[-1:], "c2": c2[None]}
    inputs = {"x": as_sequence(x, 2), "h": as_sequence(h, 2), "c": as_sequence(c, 2)}
    return n, inputs, {k: as_sequence(v, 2) for k, v in truth.items()}


@case
def n047_gru():
    """gru over the rows of an array in the older mapping: plain backwards, and with activations that are clipped."""
    x = draw(691, 4, 3)  # channels, rows
    r, w, b = matrices(700, 3, 5, 5), matrices(710, 3, 5, 4), matrices(720, 3, 5)
    r2, w2 = matrices(730, 3, 6, 6), [m * 48 for m in matrices(740, 3, 6, 4)]
    n = Sequences(["steps", "state", "end", "last"], exact=False, x=x[..., None])
    n.b.add_permute("rows", (2, 1, 0, 3), "x", "rows")
    n.b.add_gru(
        "plain", r, w, b, 5, 4, ["rows"], ["steps", "state"], inner_activation="SIGMOID", output_all=True,
        reverse_input=True,
    )
    n.b.add_gru(
        "clipped", r2, w2, None, 6, 4, ["rows", "first"], ["end", "last"], activation="LINEAR",
        inner_activation="SIGMOID_HARD",
    )
    n.b.spec.neuralNetwork.layers[2].input.pop()
    steps = gru(x.T, (r, w, b), np.zeros(5), reverse=True)
    wide = [np.abs(x.T @ m.T).max() for m in w2]
    assert max(wide) > 60, wide
    end = gru(x.T, (r2, w2, [0.0] * 3), np.zeros(6), "SIGMOID_HARD", "LINEAR")
    truth = {"steps": steps[:, None], "state": steps[-1:, None], "end": end[-1:, None], "last": end[-1:, None]}
    return n, {"x": x[..., None]}, {k: as_sequence(v) for k, v in truth.items()}


@case
def n048_bidirectional_lstm():
    """biDirectionalLSTM: with states, every step; from zeros with peepholes, the last step of each direction."""
    x = draw(751, 3, 1, 4)
    states = [draw(752 + i, 1, 1, 3) for i in range(4)]
    way = [(matrices(s, 4, 3, 3), matrices(s + 10, 4, 3, 4), matrices(s + 20, 4, 3)) for s in (760, 800)]
    odd = [(matrices(s, 4, 2, 2), matrices(s + 10, 4, 2, 6), matrices(s + 20, 4, 2)) for s in (840, 880)]
    peep = [matrices(s, 3, 2) for s in (920, 930)]
    names = ["hf", "cf", "hb", "cb"]
    inputs = {"x": as_sequence(x), **{k: as_sequence(v) for k, v in zip(names, states)}}
    n = Sequences(["steps", "hf1", "cb1", "end"], **inputs)
    (rf, wf, bf), (rb, wb, bb) = way
    n.b.add_bidirlstm(
        "plain", rf, wf, bf, rb, wb, bb, 3, 4, ["x", *names], ["steps", "hf1", "cf1", "hb1", "cb1"], output_all=True
    )
    (rf, wf, bf), (rb, wb, bb) = odd
    n.b.add_bidirlstm(
        "odd", rf, wf, bf, rb, wb, bb, 2, 6, ["steps"], ["end", "hf2", "cf2", "hb2", "cb2"], peep=peep[0],
        peep_back=peep[1], forget_bias=True,
    )
    forward, _ = lstm(x[:, 0], way[0], [states[0][0, 0], states[1][0, 0]])
    back, cb = lstm(x[:, 0], way[1], [states[2][0, 0], states[3][0, 0]], reverse=True)
    steps = np.concatenate([forward, back[::-1]], 1)
    zero = np.zeros(2)
    ends = [lstm(steps, odd[i], [zero, zero], peep=peep[i], forget=1.0, reverse=i == 1)[0][-1] for i in (0, 1)]
    truth = {"steps": steps, "hf1": forward[-1:], "cb1": cb[None], "end": np.concatenate(ends)[None]}
    return n, inputs, {k: as_sequence(v) for k, v in truth.items()}

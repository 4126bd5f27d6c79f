"""Recurrent layers.

Outputs of a reversed sequence come in the order in which they are computed, as coremltools' tests of recurrent ops against
the runtime expect it; only the backward half of a bidirectional layer is turned back.
"""
from case import *  # noqa: F403

# ---------------------------------------------------------------- recurrent

I, H = 3, 2
SIG, TANH = {"sigmoid": {}}, {"tanh": {}}


def run_lstm(x, h, c, ws, peep=None, plus=0.0, clip=50.0):
    """ws: (W, R, b) of the input gate, forget gate, block input and output gate."""
    out = []
    for v in x:
        pre = [v @ t(W).T + h @ t(R).T + t(b) for W, R, b in ws]
        p = [t(a) for a in peep] if peep else [0.0] * 3
        i, f, z = torch.sigmoid(pre[0] + p[0] * c), torch.sigmoid(pre[1] + p[1] * c + plus), torch.tanh(pre[2])
        c = (f * c + i * z).clamp(-clip, clip)
        h = torch.sigmoid(pre[3] + p[2] * c) * torch.tanh(c)
        out.append(h)
    return torch.stack(out), h, c


def lstm_weights():
    ws = [(rand(H, I), rand(H, H), rand(H)) for _ in range(4)]
    p = {}
    for name, (a, b, c) in zip(("inputGate", "forgetGate", "blockInput", "outputGate"), ws):
        p |= {f"{name}WeightMatrix": w(a), f"{name}RecursionMatrix": w(b), f"{name}BiasVector": w(c)}
    return ws, p


five = lambda v: v[..., None, None]
seq = lambda x: x.reshape(x.shape[0], x.shape[1], -1)
one_state = lambda v: five(v[None])
WS, WP = lstm_weights()
WB, WPB = lstm_weights()
LS = {"inputVectorSize": I, "outputVectorSize": H, "activations": [SIG, TANH, TANH], "weightParams": WP}
ZERO = lambda x: torch.zeros(x.shape[1], H).double()
x3, h0, c0 = rand(3, 2, I, 1, 1), rand(1, 2, H, 1, 1), rand(1, 2, H, 1, 1)


# A reversed sequence comes out in the order of computation, as coremltools' tests against the runtime have it.
def uni(x, h=None, c=None, reverse=False, sequence=True, **more):
    y, h, c = run_lstm(seq(x).flip(0) if reverse else seq(x), ZERO(x) if h is None else h.reshape(-1, H), ZERO(x) if c is None else c.reshape(-1, H), WS, **more)
    y = y if sequence else h[None]
    return five(y), one_state(h), one_state(c)


case("uniDirectionalLSTM", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [x3, h0, c0], uni)
case("uniDirectionalLSTM of the last step", "uniDirectionalLSTM", LS | {"params": {"hasBiasVectors": True, "forgetBias": True}, "reverseInput": True}, [x3], lambda x: uni(x, reverse=True, sequence=False, plus=1.0))
rank5("uniDirectionalLSTM of one step", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [rand(1, 1, I, 1, 1)], uni)
rank5("uniDirectionalLSTM", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}, "reverseInput": True}, [x3, h0, c0], lambda *a: uni(*a, reverse=True))
PEEP = [rand(H) for _ in range(3)]
case("uniDirectionalLSTM with peepholes", "uniDirectionalLSTM",
     LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True, "hasPeepholeVectors": True}, "weightParams": WP | {f"{n}GatePeepholeVector": w(p) for n, p in zip(("input", "forget", "output"), PEEP)}}, [x3], lambda x: uni(x, peep=PEEP))
case("uniDirectionalLSTM without biases", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "forgetBias": True}}, [x3],
     lambda x: tuple(five(v) if v.dim() == 3 else one_state(v) for v in run_lstm(seq(x), ZERO(x), ZERO(x), [(a, b, np.zeros(H)) for a, b, _ in WS], plus=1.0)))


def both(x, h=None, c=None, hb=None, cb=None, sequence=True):
    z = lambda v: ZERO(x) if v is None else v.reshape(-1, H)
    y, h, c = run_lstm(seq(x), z(h), z(c), WS)
    yb, hb, cb = run_lstm(seq(x).flip(0), z(hb), z(cb), WB)
    y = torch.cat((y, yb.flip(0)), -1) if sequence else torch.cat((h, hb), -1)[None]
    return (five(y), *(one_state(v) for v in (h, c, hb, cb)))


BI = {"inputVectorSize": I, "outputVectorSize": H, "activationsForwardLSTM": [SIG, TANH, TANH], "activationsBackwardLSTM": [SIG, TANH, TANH], "weightParams": [WP, WPB]}
case("biDirectionalLSTM", "biDirectionalLSTM", BI | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [x3, h0, c0, rand(1, 2, H, 1, 1), rand(1, 2, H, 1, 1)], both)
rank5("biDirectionalLSTM of the last step", "biDirectionalLSTM", BI | {"params": {"hasBiasVectors": True}}, [rand(3, 1, I, 1, 1)], lambda x: both(x, sequence=False))
RW, RR, RB = rand(H, I), rand(H, H), rand(H)


def run_rnn(x, h, reverse=False, sequence=True, act=torch.relu):
    out = []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        h = act((v @ t(RW).T + h @ t(RR).T + t(RB)).clamp(-50, 50))
        out.append(h)
    y = torch.stack(out)
    y = y if sequence else h[None]
    return five(y), one_state(h)


SR = {"inputVectorSize": I, "outputVectorSize": H, "hasBiasVector": True, "weightMatrix": w(RW), "recursionMatrix": w(RR), "biasVector": w(RB), "sequenceOutput": True}
case("simpleRecurrent", "simpleRecurrent", SR | {"activation": {"ReLU": {}}}, [x3, h0], lambda x, h: run_rnn(x, h.reshape(-1, H)))
rank5("simpleRecurrent, reversed", "simpleRecurrent", SR | {"activation": {"sigmoidHard": {"alpha": 0.2, "beta": 0.5}}, "reverseInput": True}, [x3], lambda x: run_rnn(x, ZERO(x), True, act=lambda v: (0.2 * v + 0.5).clamp(0, 1)))
GW = {g: (rand(H, I), rand(H, H), rand(H)) for g in ("update", "reset", "output")}


def run_gru(x, h, reverse=False, sequence=True):
    g = lambda n, v, h: v @ t(GW[n][0]).T + h @ t(GW[n][1]).T + t(GW[n][2])
    out = []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        z, r = torch.sigmoid(g("update", v, h)), torch.sigmoid(g("reset", v, h))
        h = (1 - z) * torch.tanh(g("output", v, h * r)) + z * h
        out.append(h)
    y = torch.stack(out)
    y = y if sequence else h[None]
    return five(y), one_state(h)


GP = {"inputVectorSize": I, "outputVectorSize": H, "activations": [SIG, TANH], "hasBiasVectors": True}
for g, (a, b, c) in GW.items():
    GP |= {f"{g}GateWeightMatrix": w(a), f"{g}GateRecursionMatrix": w(b), f"{g}GateBiasVector": w(c)}
case("gru", "gru", GP | {"sequenceOutput": True}, [x3, h0], lambda x, h: run_gru(x, h.reshape(-1, H)))
rank5("gru of the last step, reversed", "gru", GP | {"reverseInput": True}, [x3], lambda x: run_gru(x, ZERO(x), True, False))
rank5("gru of one step", "gru", GP | {"sequenceOutput": True}, [rand(1, 1, I, 1, 1)], lambda x: run_gru(x, ZERO(x)))


"""Recurrent layers with activations that have numbers of their own, and with coupled gates, which MIL's ops do not take."""
from case import *  # noqa: F403
from recur import GP, GW, H, I, PEEP, RB, RR, RW, SIG, TANH, WB, WP, WPB, WS, five, one_state, seq

clip = lambda v: v.clamp(-50, 50)
KINDS = {
    "sigmoid": lambda v: torch.sigmoid(v),
    "tanh": lambda v: torch.tanh(v),
    "ReLU": lambda v: torch.relu(v),
    "linear": lambda v, a, b: a * v + b,
    "scaledTanh": lambda v, a, b: a * torch.tanh(b * v),
    "sigmoidHard": lambda v, a, b: (a * v + b).clamp(0, 1),
}


def act(kind, *numbers):
    return {kind: dict(zip(("alpha", "beta"), numbers))}, lambda v: KINDS[kind](v, *(float(np.float32(n)) for n in numbers))


LIN, SCALED, HARD, RELU = act("linear", 0.5, -0.25), act("scaledTanh", 1.5, 0.5), act("sigmoidHard", 0.375, 0.25), act("ReLU")
SIGMOID, TAN = act("sigmoid"), act("tanh")
SHORT, LONG, OPEN = rand(3, 2, I, 1, 1), np.round(rand(70, 2, I, 1, 1) / 2, 2), rand(1, 2, H, 1, 1)
zero = lambda x: torch.zeros(x.shape[1], H).double()
state = lambda x, v: zero(x) if v is None else v.reshape(-1, H)
result = lambda ys, states, sequence: (five(torch.stack(ys) if sequence else ys[-1][None]), *(one_state(v) for v in states))

# y = f(clip(W x + R y + b))


def rnn(x, h=None, f=None, reverse=False, sequence=True):
    h, ys = state(x, h), []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        h = f(clip(v @ t(RW).T + h @ t(RR).T + t(RB)))
        ys.append(h)
    return result(ys, [h], sequence)


SR = {"inputVectorSize": I, "outputVectorSize": H, "hasBiasVector": True, "weightMatrix": w(RW), "recursionMatrix": w(RR), "biasVector": w(RB)}
for (p, f), name in ((LIN, "linear"), (SCALED, "scaledTanh"), (HARD, "sigmoidHard")):
    case(f"simpleRecurrent, own {name}", "simpleRecurrent", SR | {"activation": p, "sequenceOutput": True}, [SHORT, OPEN], lambda x, h, f=f: rnn(x, h, f))
case("simpleRecurrent, own scaledTanh, long, reversed", "simpleRecurrent", SR | {"activation": SCALED[0], "sequenceOutput": True, "reverseInput": True}, [LONG], lambda x: rnn(x, None, SCALED[1], True))
case("simpleRecurrent, own scaledTanh, last of many", "simpleRecurrent", SR | {"activation": SCALED[0]}, [LONG, OPEN], lambda x, h: rnn(x, h, SCALED[1], False, False))
case("simpleRecurrent, own linear, clipped", "simpleRecurrent", SR | {"activation": act("linear", 1.0, 2.0)[0], "sequenceOutput": True}, [SHORT * 40], lambda x: rnn(x, None, lambda v: v + 2))
for s, b in ((1, 1), (2, 1), (1, 3), (66, 1)):
    rank5(f"simpleRecurrent, own sigmoidHard, sequence {s}, batch {b}", "simpleRecurrent", SR | {"activation": HARD[0], "sequenceOutput": True}, [rand(s, b, I, 1, 1)], lambda x: rnn(x, None, HARD[1]))

# ---------------------------------------------------------------- gru


def gru(x, h=None, f=None, g=None, reverse=False, sequence=True):
    gate = lambda n, v, h: v @ t(GW[n][0]).T + h @ t(GW[n][1]).T + t(GW[n][2])
    h, ys = state(x, h), []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        z, r = f(clip(gate("update", v, h))), f(clip(gate("reset", v, h)))
        h = (1 - z) * g(clip(gate("output", v, h * r))) + z * h
        ys.append(h)
    return result(ys, [h], sequence)


case("gru, own activations", "gru", GP | {"activations": [HARD[0], SCALED[0]], "sequenceOutput": True}, [SHORT, OPEN], lambda x, h: gru(x, h, HARD[1], SCALED[1]))
case("gru, ReLU", "gru", GP | {"activations": [SIG, RELU[0]], "sequenceOutput": True, "reverseInput": True}, [SHORT], lambda x: gru(x, None, torch.sigmoid, RELU[1], True))
case("gru, ReLU, long", "gru", GP | {"activations": [SIG, RELU[0]], "sequenceOutput": True}, [LONG, OPEN], lambda x, h: gru(x, h, torch.sigmoid, RELU[1]))
case("gru, ReLU, last of many, reversed", "gru", GP | {"activations": [SIG, RELU[0]], "reverseInput": True}, [LONG], lambda x: gru(x, None, torch.sigmoid, RELU[1], True, False))
for s, b in ((1, 1), (3, 1), (1, 2), (65, 2)):
    rank5(f"gru, own activations, sequence {s}, batch {b}", "gru", GP | {"activations": [HARD[0], SCALED[0]], "sequenceOutput": True}, [rand(s, b, I, 1, 1)], lambda x: gru(x, None, HARD[1], SCALED[1]))

# ---------------------------------------------------------------- lstm

# With coupled gates c = (1 - i) c + i z, as coremltools' tests have it.


def lstm(x, h, c, ws, acts, coupled=False, peep=None, plus=0.0, limit=50.0, reverse=False):
    f, g, k = acts
    p = [t(a) for a in peep] if peep else [0.0] * 3
    ys = []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        i, fg, z, o = [v @ t(W).T + h @ t(R).T + t(b) for W, R, b in ws]
        i, z = f(clip(i + p[0] * c)), g(clip(z))
        keep = 1 - i if coupled else f(clip(fg + p[1] * c + plus))
        c = (keep * c + i * z).clamp(-limit, limit)
        h = f(clip(o + p[2] * c)) * k(c)
        ys.append(h)
    return ys, h, c


LS = {"inputVectorSize": I, "outputVectorSize": H, "activations": [SIG, TANH, TANH], "weightParams": WP}
FLAGS = {"sequenceOutput": True, "hasBiasVectors": True}
PLAIN = (torch.sigmoid, torch.tanh, torch.tanh)


def one(x, h=None, c=None, acts=PLAIN, sequence=True, **more):
    ys, h, c = lstm(x, state(x, h), state(x, c), WS, acts, **more)
    return result(ys, [h, c], sequence)


without_forget = {k: v for k, v in WP.items() if not k.startswith("forget")}
case("uniDirectionalLSTM, coupled", "uniDirectionalLSTM", LS | {"params": FLAGS | {"coupledInputAndForgetGate": True}, "weightParams": without_forget}, [SHORT, OPEN, -OPEN], lambda *a: one(*a, coupled=True))
PP = {f"{n}GatePeepholeVector": w(p) for n, p in zip(("input", "forget", "output"), PEEP)}
case("uniDirectionalLSTM, coupled, peepholes, clipped, reversed", "uniDirectionalLSTM",
     LS | {"params": FLAGS | {"coupledInputAndForgetGate": True, "hasPeepholeVectors": True, "forgetBias": True, "cellClipThreshold": 0.25}, "weightParams": WP | PP, "reverseInput": True},
     [SHORT], lambda x: one(x, coupled=True, peep=PEEP, limit=0.25, reverse=True))
case("uniDirectionalLSTM, coupled, last of many", "uniDirectionalLSTM", LS | {"params": {"hasBiasVectors": True, "coupledInputAndForgetGate": True}}, [LONG, OPEN, OPEN], lambda *a: one(*a, sequence=False, coupled=True))
OWN = (HARD, SCALED, LIN)
own = {"activations": [p for p, _ in OWN]}
case("uniDirectionalLSTM, own activations", "uniDirectionalLSTM", LS | own | {"params": FLAGS | {"forgetBias": True, "hasPeepholeVectors": True}, "weightParams": WP | PP}, [SHORT, OPEN, OPEN],
     lambda *a: one(*a, acts=[f for _, f in OWN], plus=1.0, peep=PEEP))
case("uniDirectionalLSTM, own activations, long, reversed", "uniDirectionalLSTM", LS | own | {"params": FLAGS, "reverseInput": True}, [LONG], lambda x: one(x, acts=[f for _, f in OWN], reverse=True))
case("uniDirectionalLSTM, own activations, no biases", "uniDirectionalLSTM", LS | own | {"params": {"sequenceOutput": True, "forgetBias": True}}, [SHORT],
     lambda x: result(*(lambda r: (r[0], r[1:]))(lstm(x, zero(x), zero(x), [(a, b, np.zeros(H)) for a, b, _ in WS], [f for _, f in OWN], plus=1.0)), True))
for s, b in ((1, 1), (3, 1), (1, 2), (66, 2)):
    rank5(f"uniDirectionalLSTM, coupled, sequence {s}, batch {b}", "uniDirectionalLSTM", LS | {"params": FLAGS | {"coupledInputAndForgetGate": True}}, [rand(s, b, I, 1, 1)], lambda x: one(x, coupled=True))


def both(x, h=None, c=None, hb=None, cb=None, sequence=True, there=PLAIN, back=PLAIN, **more):
    ys, h, c = lstm(x, state(x, h), state(x, c), WS, there, **more)
    yb, hb, cb = lstm(x, state(x, hb), state(x, cb), WB, back, reverse=True, **more)
    y = torch.cat((torch.stack(ys), torch.stack(yb).flip(0)), -1) if sequence else torch.cat((h, hb), -1)[None]
    return (five(y), *(one_state(v) for v in (h, c, hb, cb)))


BI = {"inputVectorSize": I, "outputVectorSize": H, "activationsForwardLSTM": [SIG, TANH, TANH], "activationsBackwardLSTM": [SIG, TANH, TANH], "weightParams": [WP, WPB]}
STATES = [OPEN, -OPEN, OPEN / 2, OPEN * 2]
case("biDirectionalLSTM, coupled", "biDirectionalLSTM", BI | {"params": FLAGS | {"coupledInputAndForgetGate": True}}, [SHORT, *STATES], lambda *a: both(*a, coupled=True))
case("biDirectionalLSTM, directions apart", "biDirectionalLSTM", BI | {"activationsBackwardLSTM": [SIG, RELU[0], TANH], "params": FLAGS}, [SHORT, *STATES],
     lambda *a: both(*a, back=(torch.sigmoid, torch.relu, torch.tanh)))
case("biDirectionalLSTM, directions apart, the last step", "biDirectionalLSTM", BI | {"activationsForwardLSTM": [p for p, _ in OWN], "params": {"hasBiasVectors": True}}, [SHORT],
     lambda x: both(x, sequence=False, there=[f for _, f in OWN]))
rank5("biDirectionalLSTM, coupled", "biDirectionalLSTM", BI | {"params": FLAGS | {"coupledInputAndForgetGate": True}}, [rand(3, 1, I, 1, 1)], lambda x: both(x, coupled=True))
rank5("biDirectionalLSTM, own activations, long", "biDirectionalLSTM", BI | {"activationsForwardLSTM": [p for p, _ in OWN], "activationsBackwardLSTM": [p for p, _ in OWN], "params": FLAGS}, [np.round(rand(67, 2, I, 1, 1), 1)],
      lambda x: both(x, there=[f for _, f in OWN], back=[f for _, f in OWN]))

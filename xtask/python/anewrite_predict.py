"""A pytest plugin: coremltools' own tests, with `MLModel.predict` answered by the evaluator of this workspace.

coremltools checks numbers only on a Mac. The plugin says that this is one, puts a stand-in in the place of the binding
to Core ML, and sends each prediction to a process that evaluates it (`cargo xtask ops-suite --worker`). The tests, their
inputs and their comparisons stay as they are. Options:

--anewrite-worker COMMAND   the process to ask
--anewrite-report FILE      where the results go, one line of JSON a case
--anewrite-most N           at most N cases of a test function, those whose ids have the least hashes
"""
import hashlib
import json
import random
import shlex
import subprocess
import sys
import zlib

import coremltools
import numpy as np
import pytest
import torch
from coremltools.models import model as binding

MACOS = (15, 5)
# What the case that runs now has predicted.
SEEN = {"models": 0, "kinds": set()}
STATE = {"worker": None, "command": None, "report": None}


# ---------------------------------------------------------------- the process
def ask(request, arrays=()):
    """One line of JSON each way, then the arrays it names, as doubles or 64-bit integers."""
    worker = STATE["worker"]
    if worker is None or worker.poll() is not None:
        worker = subprocess.Popen(shlex.split(STATE["command"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        STATE["worker"] = worker
    worker.stdin.write(json.dumps(request).encode() + b"\n")
    for a in arrays:
        worker.stdin.write(a.tobytes())
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError("the evaluator's process ended")
    answer = json.loads(line)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    for f in answer.get("outputs", []) + answer.get("states", []):
        if "shape" in f:
            wide = np.float64 if f["wide"] == "f8" else np.int64
            data = worker.stdout.read(8 * int(np.prod(f["shape"])))
            f["array"] = np.frombuffer(data, wide).reshape(f["shape"]).astype(f["dtype"])
    return answer


def sent(name, value):
    """An input as a line of the request, and its elements."""
    if type(value).__module__.startswith("PIL"):
        value = np.asarray(value)
    if isinstance(value, str):
        return {"name": name, "text": value}, None
    if isinstance(value, dict):
        raise RuntimeError(f"input {name}: dictionaries are not sent")
    a = np.asarray(value)
    whole = a.dtype.kind in "iub"
    a = np.ascontiguousarray(a, np.int64 if whole else np.float64)
    return {"name": name, "wide": "i8" if whole else "f8", "shape": list(a.shape)}, a


class Proxy:
    """What coremltools calls of its binding."""

    def __init__(self, path, compute_units, function, hints, asset):
        self.function = function or None
        self.handle = ask({"open": path})["handle"]

    def __del__(self):
        try:
            ask({"close": self.handle})
        except Exception:
            pass

    @staticmethod
    def maximum_supported_specification_version():
        return 9

    def predict(self, data, state=None):
        features = [sent(n, v) for n, v in data.items()] + [sent(n, v) for n, v in (state or {}).items()]
        request = {"predict": self.handle, "function": self.function, "inputs": [f for f, _ in features]}
        answer = ask(request, [a for _, a in features if a is not None])
        SEEN["models"] += 1
        SEEN["kinds"].update(answer["kinds"])
        if state is not None:
            state.update({f["name"]: f["array"] for f in answer["states"]})
        return {f["name"]: received(f) for f in answer["outputs"]}

    def batchPredict(self, many):
        return [self.predict(data) for data in many]

    def newState(self):
        return {}


def received(f):
    if "dict" in f:
        return {k: v for k, v in f["dict"]}
    if "value" in f:
        return f["value"]
    return f["array"].reshape(1) if f["array"].shape == () else f["array"]


# ---------------------------------------------------------------- the switches
def pretend():
    """Every place that asks what system this is."""
    binding._MLModelProxy = Proxy
    for module in [m for n, m in list(sys.modules.items()) if n.split(".")[0] == "coremltools"]:
        for name, value in (("_IS_MACOS", True), ("_is_macos", lambda: True), ("_macos_version", lambda: MACOS)):
            if hasattr(module, name):
                setattr(module, name, value)


def pytest_addoption(parser):
    group = parser.getgroup("anewrite")
    group.addoption("--anewrite-worker")
    group.addoption("--anewrite-report")
    group.addoption("--anewrite-most", type=int, default=0)


def pytest_configure(config):
    STATE["command"] = config.getoption("--anewrite-worker")
    path = config.getoption("--anewrite-report")
    if path:
        STATE["report"] = open(path, "w", encoding="utf-8")
        record({"coremltools": coremltools.__version__})
    pretend()


# ---------------------------------------------------------------- the sample
def rank(item):
    return hashlib.sha256(item.nodeid.encode()).hexdigest()


def pytest_collection_modifyitems(config, items):
    most = config.getoption("--anewrite-most")
    if not most:
        return
    functions = {}
    for item in items:
        functions.setdefault(item.nodeid.split("[")[0], []).append(item)
    chosen = {i for group in functions.values() for i in sorted(group, key=rank)[:most]}
    dropped = [i for i in items if i not in chosen]
    items[:] = [i for i in items if i in chosen]
    config.hook.pytest_deselected(items=dropped)


# ---------------------------------------------------------------- the record
def record(line):
    """One line each, so that what was found is there even if the run is ended."""
    if STATE["report"]:
        STATE["report"].write(json.dumps(line) + "\n")
        STATE["report"].flush()


def pytest_runtest_setup(item):
    seed = zlib.crc32(item.nodeid.encode())
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)
    SEEN.update(models=0, kinds=set())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
        why = "" if report.outcome == "passed" else last_line(report, call)
        record({"id": item.nodeid, "outcome": report.outcome, "expected": hasattr(report, "wasxfail"), "why": why,
                "predictions": SEEN["models"], "kinds": sorted(SEEN["kinds"])})


def last_line(report, call):
    if call.excinfo is None:
        return str(report.longrepr)
    text = call.excinfo.exconly()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines)[:400]


def pytest_sessionfinish(session):
    if STATE["report"]:
        STATE["report"].close()
    if STATE["worker"] is not None:
        STATE["worker"].stdin.close()
        STATE["worker"].wait(10)

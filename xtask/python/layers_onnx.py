"""A second source for the older NeuralNetwork layers: the golden cases of crates/nn, converted to ONNX by onnxmltools'
Core ML importer and computed by onnxruntime.

    cargo xtask layers-onnx --python PYTHON        that of an environment of requirements-onnx.txt

The expected values of the cases, which the evaluator is tested to give, are compared with what onnxruntime computes. The
importer takes a single image, so only the cases of the rank-5 mapping whose sequence and batch are 1 are tried. Prints a
row a layer: cases that agree, that differ for a reason given below, and that do not convert. Fails where a case differs
without such a reason.
"""

import collections
import json
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402
from onnxmltools.convert import convert_coreml  # noqa: E402
from onnxmltools.convert.coreml import _parse  # noqa: E402

# onnxconverter-common compares a type with an object here and raises for every network; all types are tensors.
_parse.find_type_conversion = lambda source_type, target_type: "identity"

OLDER = """convolution pooling activation innerProduct embedding batchnorm mvn l2normalize softmax lrn crop padding upsample
resizeBilinear cropResize unary add multiply average scale bias max min dot reduce loadConstant reshape flatten permute
concat split sequenceRepeat reorganizeData slice simpleRecurrent gru uniDirectionalLSTM biDirectionalLSTM""".split()
WITHIN = 1e-4
# What the importer is known to do otherwise: beginnings of names of cases, and why.
EXPLAINED = {
    "deconvolution, same, strides over the kernel": "it leaves the size of the output to ONNX, which has no such zeros at the end",
    "mvn": "it drops epsilon",
    "l2normalize": "it drops epsilon, and normalises along one axis only: the operator's axis is misspelt",
    "softmax": "ONNX's softmax of opset 9 is over channels, rows and columns together",
    "unary RSQRT": "it drops epsilon",
    "unary INVERSE": "it drops epsilon",
    "unary LOG": "it drops epsilon",
    "reshape of one, channels last": "it gives its result in another order of axes",
}


def put(message, fields):
    for name, value in fields:
        kind, x = next(iter(value.items()))
        if kind == "m":
            inner = getattr(message, name)
            inner.SetInParent()
            put(inner, x)
        elif kind == "l":
            for item in x:
                of, v = next(iter(item.items()))
                if of == "m":
                    put(getattr(message, name).add(), v)
                else:
                    getattr(message, name).append(number(message, name, of, v))
        else:
            setattr(message, name, number(message, name, kind, x))


def number(message, name, kind, x):
    return message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_name[x].number if kind == "e" else x


def fill(message, weights):
    for path, w in weights.items():
        field = message
        for step in path.split("."):
            if step.isdigit():
                while len(field) <= int(step):
                    field.add()
                field = field[int(step)]
            else:
                field = getattr(field, step)
        if w["dtype"] != "fp32":
            raise NotImplementedError(f"weights of {w['dtype']}")
        field.floatValue.extend(w["data"])


def network(case):
    model = Model_pb2.Model(specificationVersion=3)
    layer = model.neuralNetwork.layers.add(name="layer")
    features = [(model.description.input, "x", layer.input, case["inputs"]), (model.description.output, "y", layer.output, case["outputs"])]
    for described, letter, blobs, arrays in features:
        for i, array in enumerate(arrays):
            feature = described.add(name=f"{letter}{i}")
            feature.type.multiArrayType.dataType = 65568
            if letter == "x":
                c, h, w = array["shape"][2:]
                feature.type.multiArrayType.shape.extend([c] if (h, w) == (1, 1) else [c, h, w])
            blobs.append(feature.name)
    params = getattr(layer, case["kind"])
    params.SetInParent()
    put(params, case["fields"])
    fill(params, case["weights"])
    return model


def computed(case):
    onnx = convert_coreml(network(case), target_opset=9)
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {}
    for given, array in zip(session.get_inputs(), case["inputs"]):
        shape = [1, *array["shape"][2:]][: len(given.shape)]
        feed[given.name] = np.array(array["data"], np.float32).reshape(shape)
    return session.run(None, feed)


def differs(have, case):
    for h, want in zip(have, case["outputs"]):
        h, want = np.asarray(h, float).ravel(), np.array(want["data"], float)
        if h.size != want.size:
            return f"{h.size} elements for {want.size}"
        error = np.abs(h - want).max(initial=0)
        if not error <= WITHIN * max(1, np.abs(want).max(initial=0)):
            return f"{error:.3g} off"
    return None


def main():
    with open(sys.argv[1]) as f:
        cases = [c for c in json.load(f) if c["mapping"] == "rank5" and all(x["shape"][:2] == [1, 1] for x in c["inputs"])]
    onnxruntime.set_default_logger_severity(4)
    failed = False
    for kind in OLDER:
        count, notes = collections.Counter(), []
        for case in (c for c in cases if c["kind"] == kind):
            try:
                wrong = differs(computed(case), case)
            except Exception as e:  # the importer and the runtime raise whatever comes up
                count["not convertible"] += 1
                notes.append(f"{case['name']}: {str(e).splitlines()[0][:100] if str(e) else type(e).__name__}")
                continue
            reason = next((why for name, why in EXPLAINED.items() if case["name"].startswith(name)), None)
            count["agree" if wrong is None else "explained" if reason else "disagree"] += 1
            if wrong is not None:
                notes.append(f"{case['name']}: {wrong}" + (f" ({reason})" if reason else ""))
                failed |= reason is None
        print(f"{kind}: " + (", ".join(f"{n} {what}" for what, n in count.items()) or "no case of one image"))
        for note in notes:
            print(f"    {note}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

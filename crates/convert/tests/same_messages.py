"""Compares what examples/roundtrip.rs wrote with its sources, under coremltools' protobuf classes.

    python same_messages.py OUT

Made anew: the messages must be equal, unknown fields included. Renamed: every op (layer) that does not name a
renamed value must have the same bytes, and undoing the renaming in the parsed message must give the source.
"""

import os
import sys

from coremltools.proto import Model_pb2


def spec_file(path):
    if os.path.isfile(path):
        return path
    folder = os.path.join(path, "Data/com.apple.CoreML")
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(".mlmodel")]
    return os.path.join(folder, names[0])


def read(path):
    model = Model_pb2.Model()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    return model


def canonical(model):
    return model.SerializeToString(deterministic=True)


def ops_of(model):
    """The ops or layers of every network in the model, as messages, nested ones too."""

    def block(b):
        for op in b.operations:
            yield op
            for inner in op.blocks:
                yield from block(inner)

    def network(n):
        for layer in n.layers:
            yield layer
            if layer.WhichOneof("layer") == "branch":
                yield from network(layer.branch.ifBranch)
                yield from network(layer.branch.elseBranch)
            if layer.WhichOneof("layer") == "loop":
                yield from network(layer.loop.conditionNetwork)
                yield from network(layer.loop.bodyNetwork)

    kind = model.WhichOneof("Type")
    if kind == "mlProgram":
        for name in sorted(model.mlProgram.functions):
            function = model.mlProgram.functions[name]
            yield from block(function.block_specializations[function.opset])
    elif kind in ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"):
        yield from network(getattr(model, kind))
    elif kind == "pipeline":
        for inner in model.pipeline.models:
            yield from ops_of(inner)
    elif kind in ("pipelineClassifier", "pipelineRegressor"):
        for inner in getattr(model, kind).pipeline.models:
            yield from ops_of(inner)


def rename_back(model, names):
    """Puts old names in place of new ones in every op."""

    def fix_list(texts):
        for i, text in enumerate(texts):
            texts[i] = names.get(text, text)

    def is_program(op):
        return op.DESCRIPTOR.name == "Operation"

    for op in ops_of(model):
        if is_program(op):
            for argument in op.inputs.values():
                for binding in argument.arguments:
                    if binding.WhichOneof("binding") == "name":
                        binding.name = names.get(binding.name, binding.name)
            for output in op.outputs:
                output.name = names.get(output.name, output.name)
            for inner in op.blocks:
                fix_list(inner.outputs)
        else:
            fix_list(op.input)
            fix_list(op.output)


def main(out):
    bad = 0
    with open(os.path.join(out, "index.tsv")) as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    touched = 0
    for i, path in rows:
        source = read(spec_file(path))
        want = canonical(source)
        if canonical(read(os.path.join(out, i + ".anew"))) != want:
            print("NOT EQUAL, made anew:", path)
            bad += 1
        with open(os.path.join(out, i + ".names")) as f:
            pairs = [line.split() for line in f.read().splitlines()]
        new = {n for _, n in pairs}
        renamed = read(os.path.join(out, i + ".renamed"))
        for a, b in zip(ops_of(source), ops_of(renamed), strict=True):
            same = a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)
            names_it = any(n.encode() in b.SerializeToString() for n in new)
            if not same and not names_it:
                print("CHANGED OP:", path, a.name if hasattr(a, "name") else a.type)
                bad += 1
            touched += not same
        rename_back(renamed, {n: o for o, n in pairs})
        if canonical(renamed) != want:
            print("NOT EQUAL, renamed:", path)
            bad += 1
    print(len(rows), "models,", touched, "ops touched by renaming,", bad, "differences")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

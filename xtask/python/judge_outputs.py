#!/usr/bin/env python3
"""Reloads rewritten models and counts the ops that coremltools' own clean-up would leave.

Reads one JSON object a line from the standard input, {"input": PATH, "output": PATH, "clean": PATH or null}, and
answers each with one line on the standard output:

    kind         the model's type
    input_error  why coremltools does not load the input, null where it does
    output_error the same of the output
    ops          [in the input, in the output, in `clean`, left by coremltools]: null where it cannot be counted
    more         {type: [in `clean`, left by coremltools]} for types of which `clean` has more

`clean` is the model rewritten by clean-up rules alone. ML Programs are loaded by coremltools' strict loader, which
infers every type anew; other models are parsed. Constants are not counted. Nothing is written, and the packages are
read without coremltools' package class, which rewrites the manifest of what it opens.
"""
import collections
import contextlib
import json
import logging
import os
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from coremltools.converters.mil.frontend.milproto import load as milproto  # noqa: E402
from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipeline, PassPipelineManager  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

# The passes of coremltools that do what our clean-up rules do, in the order of its default pipeline.
KINDS = {
    "cast_optimization",
    "const_deduplication",
    "const_elimination",
    "dead_code_elimination",
    "merge_consecutive_reshapes",
    "merge_consecutive_transposes",
    "noop_elimination",
    "reduce_transposes",
    "remove_redundant_ops",
}
NAMES = [name for name in PassPipeline.DEFAULT.passes if name.partition("::")[2] in KINDS]


def specification(path):
    """The path of the file with the model's messages, and the messages."""
    path = pathlib.Path(path)
    if path.is_dir():
        manifest = json.loads((path / "Manifest.json").read_text())
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        path = path / "Data" / root
    spec = Model_pb2.Model()
    spec.ParseFromString(path.read_bytes())
    return path, spec


def load(path, spec):
    return milproto.load(spec, spec.specificationVersion, str(path.parent / "weights"))


def in_messages(spec):
    """Ops by type, constants not counted; layers of a network; of a pipeline, those of all its models."""
    counts = collections.Counter()

    def block(ops):
        for op in ops:
            if op.type != "const":
                counts[op.type] += 1
            for inner in op.blocks:
                block(inner.operations)

    def network(layers):
        for layer in layers:
            kind = layer.WhichOneof("layer")
            counts[kind] += 1
            if kind == "branch":
                network(layer.branch.ifBranch.layers)
                network(layer.branch.elseBranch.layers)
            elif kind == "loop":
                network(layer.loop.conditionNetwork.layers)
                network(layer.loop.bodyNetwork.layers)

    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        for function in spec.mlProgram.functions.values():
            block(function.block_specializations[function.opset].operations)
    elif kind.startswith("neuralNetwork"):
        network(getattr(spec, kind).layers)
    elif kind.startswith("pipeline"):
        pipeline = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
        for model in pipeline.models:
            counts.update(in_messages(model))
    return counts


def in_program(program):
    """The same of a program in memory, where one op stands for a write to a state and the read that follows it."""
    counts = collections.Counter()

    def block(ops):
        for op in ops:
            if op.op_type == "coreml_update_state":
                result = op.outputs[0]
                counts["write_state"] += 1
                counts["read_state"] += bool(result.child_ops or result.consuming_blocks)
            elif op.op_type != "const":
                counts[op.op_type] += 1
            for inner in op.blocks:
                block(inner.operations)

    for function in program.functions.values():
        block(function.operations)
    return counts


def judge(task):
    answer = {"kind": None, "input_error": None, "output_error": None, "ops": [None] * 4, "more": {}}
    path, spec = specification(task["input"])
    answer["kind"] = spec.WhichOneof("Type")
    answer["ops"][0] = in_messages(spec).total()
    program = None
    try:
        if answer["kind"] == "mlProgram":
            program = load(path, spec)
    except Exception as error:
        answer["input_error"] = f"{type(error).__name__}: {error}"[:300]
    try:
        out_path, out_spec = specification(task["output"])
        answer["ops"][1] = in_messages(out_spec).total()
        if answer["kind"] == "mlProgram":
            load(out_path, out_spec)
    except Exception as error:
        answer["output_error"] = f"{type(error).__name__}: {error}"[:300]
    if task["clean"]:
        ours = in_messages(specification(task["clean"])[1])
        answer["ops"][2] = ours.total()
        if program is not None:
            try:
                PassPipelineManager.apply_pipeline(program, PassPipeline(NAMES))
                theirs = in_program(program)
                answer["ops"][3] = theirs.total()
                answer["more"] = {kind: [n, theirs[kind]] for kind, n in sorted(ours.items()) if n > theirs[kind]}
            except Exception as error:
                answer["passes_error"] = f"{type(error).__name__}: {error}"[:300]
    return answer


def main():
    # Progress bars go to the standard error.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        for line in sys.stdin:
            try:
                answer = judge(json.loads(line))
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

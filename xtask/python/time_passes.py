#!/usr/bin/env python3
"""Loads an ML Program with coremltools, runs its default passes and saves it; says how long each step took.

    time_passes.py MODEL.mlpackage OUT.mlpackage

Prints one JSON object: seconds of `load`, `passes` and `save`, without the time that importing coremltools takes. The
steps are those of coremltools' own graph-pass utilities: the program is read from its messages, converted from MIL to
an ML Program with the default pipeline, and saved. Nothing is compiled or run, so this works on any system.
"""
import contextlib
import json
import logging
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
from coremltools.converters.mil.converter import mil_convert  # noqa: E402
from coremltools.converters.mil.frontend.milproto import load as milproto  # noqa: E402


def main(source, output):
    start = time.perf_counter()
    model = ct.models.MLModel(source, skip_model_load=True)
    spec = model.get_spec()
    program = milproto.load(spec, spec.specificationVersion, model.weights_dir)
    loaded = time.perf_counter()
    # Progress bars go to the standard error; they are not what is measured.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        converted = mil_convert(
            program,
            convert_from="milinternal",
            convert_to="mlprogram",
            specification_version=spec.specificationVersion,
            compute_units=ct.ComputeUnit.CPU_ONLY,
            model_description=spec.description,
            skip_model_load=True,
        )
    passed = time.perf_counter()
    converted.save(output)
    saved = time.perf_counter()
    print(json.dumps({"load": loaded - start, "passes": passed - loaded, "save": saved - passed}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().splitlines()[2].strip())
    main(*sys.argv[1:])

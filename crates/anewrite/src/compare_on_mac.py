"""Compares two Core ML models on the cases beside this file, on the CPU and on the Neural Engine.

usage: python compare_on_mac.py BEFORE AFTER      (macOS, with coremltools and numpy installed)

Both models run on each case with CPU_ONLY and with CPU_AND_NE. For every output the table has the largest absolute
difference, the PSNR in dB and the cosine against BEFORE on the CPU. The last column is the median time of a
prediction in milliseconds. The exit code is 1 where AFTER is further from BEFORE on the CPU than BEFORE on the
engine is, by more than half, and by more than 40 dB would allow.
"""
import json
import pathlib
import statistics
import sys
import time

import coremltools as ct
import numpy as np

FOLDER = pathlib.Path(__file__).parent
UNITS = {"cpu": ct.ComputeUnit.CPU_ONLY, "engine": ct.ComputeUnit.CPU_AND_NE}


def inputs(files, images):
    """The features of one prediction."""
    found = {}
    for name in files:
        path = FOLDER / name
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found.update({key: arrays[key] for key in arrays.files})
        else:
            found.update(json.loads(path.read_text()))
    for name in images & found.keys():
        from PIL import Image

        pixels = found[name].astype(np.uint8)
        found[name] = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return found


def predict(model, case, images):
    """The outputs of each prediction of a case, and the median time."""
    state = model.make_state() if hasattr(model, "make_state") and len(case["steps"]) > 1 else None
    steps, times = [], []
    for files in case["steps"]:
        features = inputs(files, images)
        for _ in range(1 if state is not None else 5):
            start = time.perf_counter()
            out = model.predict(features, state) if state is not None else model.predict(features)
            times.append(1e3 * (time.perf_counter() - start))
        steps.append(out)
    return steps, statistics.median(times)


def distance(a, b):
    """Largest difference, PSNR and cosine of b against a; None for what is no array of numbers."""
    if isinstance(a, dict):
        keys = sorted(a, key=str)
        a, b = [a[k] for k in keys], [b.get(k, np.nan) for k in keys]
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind not in "fiub":
        return None
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    off = np.abs(a - b)
    rms = np.sqrt(np.mean(off**2))
    psnr = np.inf if rms == 0 else 20 * np.log10(max(np.abs(a).max(), 1e-30) / rms)
    cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30)
    return off.max(initial=0), psnr, cosine


def main(before, after):
    cases = json.loads((FOLDER / "cases.json").read_text())
    images = set(cases["images"])
    models, wrong = {}, False

    def load(path, unit, function):
        key = (path, unit, function)
        if key not in models:
            more = {"function_name": function} if function else {}
            models[key] = ct.models.MLModel(path, compute_units=UNITS[unit], **more)
        return models[key]

    for case in cases["cases"]:
        print(case["label"])
        runs = {}
        for who, path in (("before", before), ("after", after)):
            for unit in UNITS:
                runs[who, unit] = predict(load(path, unit, case["function"]), case, images)
        truth = runs["before", "cpu"][0]
        for step, outputs in enumerate(truth):
            for name, value in outputs.items():
                psnr = {}
                for (who, unit), (steps, ms) in runs.items():
                    d = distance(value, steps[step][name])
                    label = f"  {name}[{step}] {who} on {unit}"
                    if d is None:
                        print(f"{label:48} {'same' if value == steps[step][name] else 'DIFFERS'}")
                        continue
                    psnr[who, unit] = d[1]
                    print(f"{label:48} max {d[0]:9.3e}  PSNR {d[1]:6.1f} dB  cosine {d[2]:.8f}  {ms:8.2f} ms")
                if psnr and psnr["after", "engine"] < min(psnr["before", "engine"] - 3.5, 40):
                    print(f"  {name}: AFTER is further off on the engine than BEFORE")
                    wrong = True
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

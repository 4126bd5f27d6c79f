"""Arrays of every dtype and order that files of inputs may hold. Run in this folder with numpy."""

import numpy as np

rows = np.array([[1.5, -2.25, 3.0], [0.0, -0.0, 65504.0]])
np.savez_compressed(
    "arrays.npz",
    half=rows.astype(np.float16),
    single=rows.astype(np.float32),
    columns=np.asfortranarray(rows),
    bytes=np.array([[200, 3]], dtype=np.uint8),
    whole=np.array([-5, 2**31 - 1], dtype=np.int32),
    flags=np.array([True, False, True]),
    text=np.array(["a", "längst"]),
    scalar=np.float32(0.1),
    empty=np.zeros((0, 4), dtype=np.float32),
)

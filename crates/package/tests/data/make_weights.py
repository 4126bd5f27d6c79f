#!/usr/bin/env python3
"""Makes every_type.bin: a blob of eleven elements of each data type of the storage format, written
by the writer of coremltools 9.0 (its Linux wheel), and prints the offsets it gave. Element i of the
blob with type number t holds (5 i + t) mod 2^bits, as an unsigned number in the type's bits.

usage: make_weights.py [OUTPUT]

There are Python bindings for 14 of the 17 types. For bf16 and both fp8 the script calls the same
writer's C++ functions; under the Itanium ABI a span is passed as pointer and length.
"""
import ctypes
import sys
from pathlib import Path

import coremltools.libmilstoragepython as storage
import numpy as np

ELEMENTS = 11
WRITER = "_ZN7MILBlob4Blob13StorageWriter"

# (type number, bits, name of the binding or of the C++ type)
TYPES = [
    (1, 16, "fp16"),
    (2, 32, "float"),
    (3, 8, "uint8"),
    (4, 8, "int8"),
    (5, 16, "4Bf16"),
    (6, 16, "int16"),
    (7, 16, "uint16"),
    (8, 4, "int4"),
    (9, 1, "uint1"),
    (10, 2, "uint2"),
    (11, 4, "uint4"),
    (12, 3, "uint3"),
    (13, 6, "uint6"),
    (14, 32, "int32"),
    (15, 32, "uint32"),
    (16, 8, "9Fp8E4M3FN"),
    (17, 8, "7Fp8E5M2"),
]


def values(number: int, bits: int, name: str) -> np.ndarray:
    pattern = (5 * np.arange(ELEMENTS) + number) % (1 << bits)
    if name == "int4":
        return (pattern - 16 * (pattern > 7)).astype(np.int8)
    container = {32: np.uint32, 16: np.uint16}.get(bits, np.uint8)
    raw = pattern.astype(container)
    views = {"float": np.float32, "int8": np.int8, "int16": np.int16, "int32": np.int32}
    return raw.view(views[name]) if name in views else raw


def write_by_symbol(path: Path, name: str, data: np.ndarray) -> int:
    library = ctypes.CDLL(storage.__file__)
    text = ctypes.create_string_buffer(str(path).encode())
    # libstdc++'s string: pointer, length, then capacity or short text.
    string = (ctypes.c_uint64 * 4)(ctypes.addressof(text), len(str(path)), len(str(path)), 0)
    writer = ctypes.create_string_buffer(64)
    constructor = WRITER + "C1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEb"
    library[constructor](writer, string, ctypes.c_bool(False))
    write = library[
        f"{WRITER}9WriteDataINS_{name}EEEmNS_4Util4SpanIKT_Lm18446744073709551615EEE"
    ]
    write.restype = ctypes.c_uint64
    offset = write(writer, ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(data.size))
    library[WRITER + "D1Ev"](writer)
    return offset


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("every_type.bin"))
    path.unlink(missing_ok=True)
    path.touch()
    for number, bits, name in TYPES:
        data = values(number, bits, name)
        if name[0].isdigit():
            offset = write_by_symbol(path, name, data)
        else:
            writer = storage._BlobStorageWriter(str(path), False)
            offset = getattr(writer, f"write_{name}_data")(data)
            del writer
        print(f"({offset}, {number}),")


main()

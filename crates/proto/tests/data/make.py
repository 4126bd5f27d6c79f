"""Makes the messages in this folder with the protobuf classes of coremltools 9.0: `python make.py`.

Each `<name>.bin` is a message as those classes write it. `<name>.<form>.bin` is the same message with a repeated scalar in
a form that protobuf allows and those classes only read; they are asked whether it reads as the same message.
"""

import pathlib
import struct

from coremltools.proto import MIL_pb2, NeuralNetwork_pb2

HERE = pathlib.Path(__file__).parent


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed(number, encode, values):
    content = b"".join(encode(value) for value in values)
    return varint(number << 3 | 2) + varint(len(content)) + content


def unpacked(number, wire, encode, values):
    return b"".join(varint(number << 3 | wire) + encode(value) for value in values)


def float32(value):
    return struct.pack("<f", value)


def save(name, message, **forms):
    (HERE / f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True))
    for form, data in forms.items():
        assert type(message).FromString(data) == message, (name, form)
        (HERE / f"{name}.{form}.bin").write_bytes(data)


floats = [i * 0.25 - 7 for i in range(99)]
weights = NeuralNetwork_pb2.WeightParams(floatValue=floats)
weights.quantization.numberOfBits = 8
quantization = varint(40 << 3 | 2) + varint(2) + bytes([8, 8])
save(
    "weights",
    weights,
    chunked=packed(1, float32, floats[:40]) + packed(1, float32, []) + packed(1, float32, floats[40:]) + quantization,
    apart=packed(1, float32, floats[:40]) + quantization + packed(1, float32, floats[40:]),
    unpacked=unpacked(1, 5, float32, floats[:50]) + quantization + unpacked(1, 5, float32, floats[50:]),
    mixed=unpacked(1, 5, float32, floats[:3]) + packed(1, float32, floats[3:98]) + unpacked(1, 5, float32, floats[98:])
    + quantization,
)

ints = [(-1) ** i * i**5 for i in range(70)]
tensor = MIL_pb2.TensorValue()
tensor.ints.values.extend(ints)
content = packed(1, varint, ints[:5]) + unpacked(1, 0, varint, ints[5:60]) + packed(1, varint, ints[60:])
save("ints", tensor, mixed=varint(2 << 3 | 2) + varint(len(content)) + content)

longs = [(-3) ** i for i in range(39)]
tensor = MIL_pb2.TensorValue()
tensor.longInts.values.extend(longs)
save("longs", tensor)

bools = [i % 3 == 0 for i in range(77)]
tensor = MIL_pb2.TensorValue()
tensor.bools.values.extend(bools)
save("bools", tensor)

doubles = [i / 7 for i in range(33)]
tensor = MIL_pb2.TensorValue()
tensor.doubles.values.extend(doubles)
save("doubles", tensor)

# A const op with a large immediate value, and a small one beside it.
op = MIL_pb2.Operation(type="const")
op.outputs.add(name="w").type.tensorType.CopyFrom(MIL_pb2.TensorType(dataType=MIL_pb2.FLOAT16, rank=1))
value = op.attributes["val"]
value.type.CopyFrom(op.outputs[0].type)
value.immediateValue.tensor.bytes.values = bytes(range(256)) + b"tail"
op.attributes["name"].immediateValue.tensor.strings.values.append("w")
axes = op.inputs["axes"].arguments.add()
axes.value.immediateValue.tensor.ints.values.extend([0, -1])
save("const_op", op)

# A layer with weights two levels down, in a repeated message.
layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="lstm", input=["x"], output=["y"])
lstm = layer.biDirectionalLSTM
lstm.inputVectorSize = 3
for direction in range(2):
    gate = lstm.weightParams.add().forgetGateWeightMatrix
    gate.floatValue.extend([direction + i / 8 for i in range(80)])
lstm.weightParams[1].outputGateBiasVector.float16Value = bytes(i * 7 % 256 for i in range(300))
lstm.weightParams[1].outputGatePeepholeVector.floatValue.extend([1.0, 2.0])
save("lstm_layer", layer)

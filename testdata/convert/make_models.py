"""Makes the models beside this file, with coremltools 9.0: small ones, each with a part of the format that is easily
lost. Weights are seeded.

    python make_models.py
"""

import os
import shutil

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.models.neural_network import NeuralNetworkBuilder, quantization_utils
from coremltools.models import datatypes
from coremltools.proto import Model_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
RNG = np.random.default_rng(11)


def weights(*shape, dtype=np.float16):
    return RNG.standard_normal(shape).astype(dtype)


def save(model, name):
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    model.save(path)


def convert(program, target, **kwargs):
    model = ct.convert(program, minimum_deployment_target=target, compute_precision=ct.precision.FLOAT16,
                       skip_model_load=True, **kwargs)
    model.short_description = "made for tests"
    model.user_defined_metadata["origin"] = "make_models.py"
    return model


def chain():
    """x, relu, mul, add, tanh: fp16, with two constants between the ops. A lone specification without weight files."""
    from coremltools.proto import FeatureTypes_pb2, MIL_pb2

    model = Model_pb2.Model(specificationVersion=7)
    for features, name in ((model.description.input, "x"), (model.description.output, "d")):
        feature = features.add(name=name)
        feature.type.multiArrayType.shape.extend([2, 3])
        feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    model.mlProgram.version = 1
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML6"
    block = function.block_specializations["CoreML6"]

    def tensor(ty, dims):
        ty.tensorType.dataType = MIL_pb2.FLOAT16
        ty.tensorType.rank = len(dims)
        for size in dims:
            ty.tensorType.dimensions.add().constant.size = size

    def named(values, name, dims):
        tensor(values.add(name=name).type, dims)

    def op(kind, out, dims=(2, 3), **inputs):
        new = block.operations.add(type=kind)
        for param, value in inputs.items():
            new.inputs[param].arguments.add(name=value)
        new.attributes["name"].type.tensorType.dataType = MIL_pb2.STRING
        new.attributes["name"].immediateValue.tensor.strings.values.append(out)
        named(new.outputs, out, dims)
        return new

    def constant(name, number):
        val = op("const", name, ()).attributes["val"]
        tensor(val.type, ())
        val.immediateValue.tensor.bytes.values = np.float16(number).tobytes()

    named(function.inputs, "x", (2, 3))
    op("relu", "a", x="x")
    constant("k1", 2.0)
    op("mul", "b", x="a", y="k1")
    constant("k2", 3.0)
    op("add", "c", x="b", y="k2")
    op("tanh", "d", x="c")
    block.outputs.append("d")
    with open(os.path.join(HERE, "chain.mlmodel"), "wb") as f:
        f.write(model.SerializeToString(deterministic=True))


def states():
    """A state that is read and written, and a weight that two ops share."""
    w = weights(12, 12)

    @mb.program(
        input_specs=[mb.TensorSpec((2, 12), dtype=types.fp16), mb.StateTensorSpec((2, 12), dtype=types.fp16)],
        opset_version=ct.target.iOS18,
    )
    def program(x, memory):
        old = mb.read_state(input=memory)
        h = mb.linear(x=mb.add(x=x, y=old), weight=w)
        new = mb.coreml_update_state(state=memory, value=h)
        return mb.linear(x=new, weight=w, name="y")

    save(convert(program, ct.target.iOS18), "states.mlpackage")


def functions():
    """Two functions over one weight file."""
    w = weights(16, 10)
    paths = []
    for name, op in (("up", "relu"), ("down", "tanh")):

        @mb.program(input_specs=[mb.TensorSpec((3, 10), dtype=types.fp16)], opset_version=ct.target.iOS18)
        def program(x):
            h = mb.linear(x=x, weight=w)
            return getattr(mb, op)(x=h, name="y")

        path = os.path.join(HERE, f"{name}.mlpackage")
        convert(program, ct.target.iOS18).save(path)
        paths.append((name, path))
    both = ct.utils.MultiFunctionDescriptor()
    for name, path in paths:
        both.add_function(path, src_function_name="main", target_function_name=name)
    both.default_function_name = "up"
    out = os.path.join(HERE, "functions.mlpackage")
    shutil.rmtree(out, ignore_errors=True)
    ct.utils.save_multifunction(both, out)
    for _, path in paths:
        shutil.rmtree(path)


def blocks():
    """cond in while_loop, lists, and constants that nested blocks take from outside."""
    k = weights(1, 12)

    @mb.program(input_specs=[mb.TensorSpec((1, 12), dtype=types.fp32)], opset_version=ct.target.iOS15)
    def program(x):
        def keep_going(i, h):
            return mb.less(x=i, y=4)

        def step(i, h):
            odd = mb.equal(x=mb.mod(x=i, y=2), y=1)
            h = mb.cond(
                pred=odd,
                _true_fn=lambda: mb.mul(x=h, y=k.astype(np.float32)),
                _false_fn=lambda: mb.add(x=h, y=np.float32(0.5)),
            )
            return mb.add(x=i, y=1), h

        _, h = mb.while_loop(_cond=keep_going, _body=step, loop_vars=(0, x))
        items = mb.make_list(init_length=2, dynamic_length=False, elem_shape=(1, 12), dtype="fp32")
        items = mb.list_write(ls=items, index=0, value=h)
        items = mb.list_write(ls=items, index=1, value=x)
        return mb.list_gather(ls=items, indices=[1, 0], name="y")

    save(convert(program, ct.target.iOS15), "blocks.mlpackage")


def classifier():
    """Class labels: an inline list, and outputs that are no tensors."""
    w = weights(3, 20)

    @mb.program(input_specs=[mb.TensorSpec((1, 20), dtype=types.fp16)], opset_version=ct.target.iOS16)
    def program(x):
        return mb.softmax(x=mb.linear(x=x, weight=w), axis=-1, name="scores")

    config = ct.ClassifierConfig(["one", "två", "три"], predicted_feature_name="label")
    save(convert(program, ct.target.iOS16, classifier_config=config), "classifier.mlpackage")


def compressed():
    """Weights in attributes (iOS 16) and in arguments (iOS 18)."""
    import coremltools.optimize.coreml as cto

    w = weights(48, 64)
    for target, bits in ((ct.target.iOS16, 6), (ct.target.iOS18, 3)):

        @mb.program(input_specs=[mb.TensorSpec((1, 64), dtype=types.fp16)], opset_version=target)
        def program(x):
            return mb.linear(x=x, weight=w, name="y")

        config = cto.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=0)
        if target == ct.target.iOS18:
            config = cto.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=0,
                                            granularity="per_grouped_channel", group_size=16)
        model = cto.palettize_weights(convert(program, target), cto.OptimizationConfig(global_config=config))
        save(model, f"palette-{target.name}.mlpackage")


def array(*shape):
    return datatypes.Array(*shape)


def nn_control():
    """A loop with a condition, a branch in it, copies, and a blob that is overwritten in place."""
    builder = NeuralNetworkBuilder([("x", array(4))], [("y", None)], disable_rank5_shape_mapping=True)
    builder.add_load_constant_nd("i0", "i", np.zeros(1), (1,))
    builder.add_load_constant_nd("limit", "limit", np.full(1, 5.0), (1,))
    builder.add_activation("start", "RELU", "x", "h")
    loop = builder.add_loop("loop", body_network=None, condition="go", condition_network=None)
    condition = NeuralNetworkBuilder(nn_spec=loop.loop.conditionNetwork, disable_rank5_shape_mapping=True)
    condition.add_less_than("less", ["i", "limit"], "go")
    body = NeuralNetworkBuilder(nn_spec=loop.loop.bodyNetwork, disable_rank5_shape_mapping=True)
    body.add_elementwise("half", ["i"], "i_half", "MULTIPLY", alpha=0.5)
    body.add_floor("floor", "i_half", "i_floor")
    body.add_elementwise("whole", ["i_floor"], "i_even", "MULTIPLY", alpha=2.0)
    body.add_equal("even", ["i", "i_even"], "is_even")
    branch = body.add_branch("branch", "is_even")
    yes = NeuralNetworkBuilder(nn_spec=branch.branch.ifBranch, disable_rank5_shape_mapping=True)
    yes.add_inner_product("dense", weights(4, 4, dtype=np.float32), weights(4, dtype=np.float32), 4, 4, True, "h", "t")
    yes.add_copy("yes", "t", "h")
    no = NeuralNetworkBuilder(nn_spec=branch.branch.elseBranch, disable_rank5_shape_mapping=True)
    no.add_activation("no", "TANH", "h", "h")
    body.add_elementwise("next", ["i"], "i_next", "ADD", alpha=1.0)
    body.add_copy("count", "i_next", "i")
    builder.add_activation("end", "LINEAR", "h", "h", [2.0, 0.0])
    builder.add_activation("last", "SIGMOID", "h", "y")
    ct.models.utils.save_spec(builder.spec, os.path.join(HERE, "nn_control.mlmodel"))


def image_network(name="image"):
    """Five-dim mapping, an image input, preprocessing, class labels, an in-place activation."""
    builder = NeuralNetworkBuilder([(name, array(3, 6, 8))], [("scores", array(2))], mode="classifier")
    builder.add_convolution("conv", 3, 5, 3, 3, 1, 1, "same", 1, weights(3, 3, 3, 5, dtype=np.float32),
                            weights(5, dtype=np.float32), True, input_name=name, output_name="conv")
    builder.add_activation("relu", "RELU", "conv", "conv")
    builder.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", "conv", "pool", is_global=True)
    builder.add_flatten("flat", 0, "pool", "flat")
    builder.add_inner_product("dense", weights(2, 5, dtype=np.float32), weights(2, dtype=np.float32), 5, 2, True,
                              "flat", "dense")
    builder.add_softmax("softmax", "dense", "scores")
    builder.set_class_labels(["no", "yes"], predicted_feature_name="label", prediction_blob="scores")
    builder.set_pre_processing_parameters(image_input_names=[name], is_bgr=False, red_bias=-0.5, green_bias=-0.25,
                                          blue_bias=-0.125, image_scale=1 / 127.5)
    builder.spec.specificationVersion = 3
    return builder


def nn_image():
    ct.models.utils.save_spec(image_network().spec, os.path.join(HERE, "nn_image.mlmodel"))


def nn_updatable():
    """A layer to be trained beside one that is not, with loss and optimizer."""
    builder = NeuralNetworkBuilder([("x", array(6))], [("y", array(3))])
    builder.add_inner_product("fixed", weights(5, 6, dtype=np.float32), weights(5, dtype=np.float32), 6, 5, True,
                              "x", "h")
    builder.add_inner_product("trained", weights(3, 5, dtype=np.float32), weights(3, dtype=np.float32), 5, 3, True,
                              "h", "z")
    builder.add_softmax("softmax", "z", "y")
    builder.make_updatable(["trained"])
    builder.set_categorical_cross_entropy_loss("loss", "y")
    builder.set_sgd_optimizer(ct.models.neural_network.SgdParams(lr=0.01, batch=4))
    builder.set_epochs(3)
    ct.models.utils.save_spec(builder.spec, os.path.join(HERE, "nn_updatable.mlmodel"))


def nn_quantized():
    """Weights of a few bits: linear per channel, and a table; LSTM weights in a repeated message; a custom layer."""
    builder = NeuralNetworkBuilder([("x", array(6, 1, 1)), ("h0", array(5)), ("c0", array(5))], [("y", None)])
    gates = [weights(5, 6, dtype=np.float32) for _ in range(4)]
    back = [weights(5, 5, dtype=np.float32) for _ in range(4)]
    bias = [weights(5, dtype=np.float32) for _ in range(4)]
    builder.add_bidirlstm("lstm", back, gates, bias, back, gates, bias, 5, 6, ["x", "h0", "c0", "h0b", "c0b"],
                          ["l", "ht", "ct", "hb", "cb"])
    for name in ("h0b", "c0b"):
        feature = builder.spec.description.input.add()
        feature.name = name
        feature.type.multiArrayType.shape.append(5)
        feature.type.multiArrayType.dataType = builder.spec.description.input[0].type.multiArrayType.dataType
    builder.add_inner_product("dense", weights(7, 10, dtype=np.float32), weights(7, dtype=np.float32), 10, 7, True,
                              "l", "d")
    custom = ct.proto.NeuralNetwork_pb2.CustomLayerParams()
    custom.className = "Twist"
    custom.parameters["angle"].doubleValue = 0.25
    custom.parameters["mode"].stringValue = "left"
    custom.weights.add().floatValue.extend([1.5, -2.5])
    builder.add_custom("custom", ["d"], ["y"], custom)
    model = ct.models.MLModel(builder.spec, skip_model_load=True)
    spec = quantization_utils.quantize_weights(model, 5, "linear")
    spec = spec.get_spec() if hasattr(spec, "get_spec") else spec
    ct.models.utils.save_spec(spec, os.path.join(HERE, "nn_quantized.mlmodel"))


def pipeline():
    """A network, a model that is none, and a pipeline in the pipeline."""
    outer = Model_pb2.Model()
    network = image_network().spec
    outer.specificationVersion = 3
    outer.description.CopyFrom(network.description)
    outer.pipelineClassifier.pipeline.models.add().CopyFrom(network)
    inner = outer.pipelineClassifier.pipeline.models.add()
    inner.specificationVersion = 3
    inner.pipeline.models.add().CopyFrom(image_network("other").spec)
    inner.pipeline.names.append("within")
    scaler = outer.pipelineClassifier.pipeline.models.add()
    scaler.specificationVersion = 1
    scaler.scaler.scaleValue.append(2.0)
    outer.pipelineClassifier.pipeline.names.extend(["look", "nested", "scale"])
    ct.models.utils.save_spec(outer, os.path.join(HERE, "pipeline.mlmodel"))


if __name__ == "__main__":
    for make in (chain, states, functions, blocks, classifier, compressed, nn_control, nn_image, nn_updatable, nn_quantized,
                 pipeline):
        make()

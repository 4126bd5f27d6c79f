//! NeuralNetworks read: one value for each writer of a blob, types of inputs, weights that stay in the file.

mod common;

use std::path::Path;

use anewrite_convert::{Note, Problem, export, import, import_spec};
use anewrite_ir::text::{PrintOptions, Printer};
use anewrite_ir::{OpId, Program, Type, ValueId};
use anewrite_tensor::{DType, Payload};
use bytes::Bytes;
use common::NoFiles;
use coreml_proto::spec::array_feature_type::{EnumeratedShapes, Shape, ShapeFlexibility, ShapeRange};
use coreml_proto::spec::image_feature_type::{ColorSpace, ImageSizeRange, SizeFlexibility};
use coreml_proto::spec::neural_network_layer::Layer;
use coreml_proto::spec::{
    ArrayFeatureType, FeatureDescription, FeatureType, ImageFeatureType, InnerProductLayerParams, Model,
    ModelDescription, NeuralNetwork, NeuralNetworkLayer, SizeRange, WeightParams, feature_type, model,
};
use prost::Message;

fn names(p: &Program, values: &[ValueId]) -> Vec<String> {
    values.iter().map(|&v| p.value(v).name.to_string()).collect()
}

fn layer_named(p: &Program, name: &str) -> OpId {
    p.all_ops().find(|&op| p.op(op).name.as_deref() == Some(name)).unwrap()
}

#[test]
fn overwritten_blobs_are_a_value_for_each_writer() {
    let source = common::made("nn_control.mlmodel");
    let document = import(&source).unwrap();
    let p = &document.parts[0].program;
    let body = p.functions().next().unwrap().1.body;
    let lines: Vec<String> = p
        .ops(body)
        .map(|op| {
            let o = p.op(op);
            let inputs: Vec<_> = o.args("input").collect();
            let carried: Vec<_> = o.args("carried").collect();
            format!(
                "{} {:?} {:?} -> {:?}",
                o.kind,
                names(p, &inputs),
                names(p, &carried),
                names(p, &o.results)
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            r#"nn.loadConstantND [] [] -> ["i"]"#,
            r#"nn.loadConstantND [] [] -> ["limit"]"#,
            r#"nn.activation ["x"] [] -> ["h"]"#,
            r#"nn.loop [] ["h", "i"] -> ["go", "h", "i"]"#,
            r#"nn.activation ["h"] [] -> ["h"]"#,
            r#"nn.activation ["h"] [] -> ["y"]"#,
        ]
    );
    // What the last activations read is what the loop and the one before left.
    let [.., start, repeat, end, last] = p.ops(body).collect::<Vec<_>>()[..] else { unreachable!() };
    assert_eq!(p.op(end).arg("input"), Some(p.op(repeat).results[1]));
    assert_eq!(p.op(last).arg("input"), Some(p.op(end).results[0]));
    assert_eq!(p.op(repeat).args("carried").next(), Some(p.op(start).results[0]));
    // Blobs with more than one writer, or one inside the loop that the outside sees, are pinned; others are not.
    for (v, value) in p.values().filter(|(v, _)| p.constant(*v).is_none()) {
        let shared = matches!(&*value.name, "i" | "h" | "go");
        assert_eq!(value.pinned, shared, "{} {v:?}", value.name);
    }
    // Condition and body take and give the same blobs, and the branch gives what either side wrote.
    for &block in &p.op(repeat).blocks {
        let b = p.block(block);
        assert_eq!(
            (names(p, &b.args), names(p, &b.outputs)),
            (vec!["go".into(), "h".into(), "i".into()], vec!["go".into(), "h".into(), "i".into()])
        );
    }
    let branch = layer_named(p, "branch");
    let next = p.op(layer_named(p, "no")).results[0];
    assert_eq!(p.block(p.op(branch).blocks[1]).outputs[..], [next]);
    let inside = layer_named(p, "no");
    assert_eq!(p.op(inside).arg("input"), Some(p.block(p.op(branch).blocks[1]).args[0]));
}

#[test]
fn a_classifier_keeps_its_probabilities_and_a_trained_network_its_loss() {
    let document = import(&common::made("nn_image.mlmodel")).unwrap();
    let p = &document.parts[0].program;
    let body = p.functions().next().unwrap().1.body;
    assert_eq!(names(p, &p.block(body).outputs), ["scores"]);
    assert!(document.notes().is_empty(), "{:?}", document.notes());
    assert_eq!(document.info().kind, "neuralNetworkClassifier");
    let mut text = String::new();
    Printer::new(p, PrintOptions::default()).program(&mut text).unwrap();
    assert!(text.contains("tensor<fp32, [1, 1, 3, 6, 8]> image"), "{text}");
    assert!(text.contains("redBias = -0.5"), "{text}");

    let document = import(&common::made("nn_updatable.mlmodel")).unwrap();
    let p = &document.parts[0].program;
    let sealed: Vec<_> = p.all_ops().filter(|&op| p.op(op).sealed).collect();
    assert_eq!(sealed, [layer_named(p, "trained")]);
    let mut spec = Model::decode(document.spec().clone()).unwrap();
    // Were the loss the only one to read `z`, it would still be an output.
    let Some(model::Type::NeuralNetwork(n)) = &mut spec.r#type else { unreachable!() };
    let loss = &mut n.update_params.as_mut().unwrap().loss_layers[0];
    let Some(coreml_proto::spec::loss_layer::LossLayerType::CategoricalCrossEntropyLossLayer(l)) =
        &mut loss.loss_layer_type
    else {
        unreachable!()
    };
    l.input = "z".into();
    let document = common::read(spec.encode_to_vec());
    let p = &document.parts[0].program;
    let body = p.functions().next().unwrap().1.body;
    assert_eq!(names(p, &p.block(body).outputs), ["y", "z"]);
}

fn array(shape: &[i64], flexibility: Option<ShapeFlexibility>) -> feature_type::Type {
    feature_type::Type::MultiArrayType(ArrayFeatureType {
        shape: shape.to_vec(),
        shape_flexibility: flexibility,
        ..Default::default()
    })
}

fn image(color: ColorSpace, flexibility: Option<SizeFlexibility>) -> feature_type::Type {
    feature_type::Type::ImageType(ImageFeatureType {
        width: 20,
        height: 10,
        color_space: color.into(),
        size_flexibility: flexibility,
    })
}

fn network(layers: Vec<NeuralNetworkLayer>, input: feature_type::Type, exact: i32) -> Model {
    let feature = |name: &str, ty: Option<feature_type::Type>| FeatureDescription {
        name: name.into(),
        r#type: Some(FeatureType { r#type: ty, ..Default::default() }),
        ..Default::default()
    };
    let network = NeuralNetwork {
        layers,
        array_input_shape_mapping: exact,
        image_input_shape_mapping: exact,
        ..Default::default()
    };
    Model {
        specification_version: 4,
        description: Some(ModelDescription {
            input: vec![feature("x", Some(input))],
            output: vec![feature("y", None)],
            ..Default::default()
        }),
        r#type: Some(model::Type::NeuralNetwork(network)),
        ..Default::default()
    }
}

fn layer(name: &str, input: &[&str], output: &[&str], kind: Layer) -> NeuralNetworkLayer {
    let texts = |t: &[&str]| t.iter().map(|s| (*s).to_owned()).collect();
    NeuralNetworkLayer {
        name: name.into(),
        input: texts(input),
        output: texts(output),
        layer: Some(kind),
        ..Default::default()
    }
}

fn copy(name: &str, input: &str, output: &str) -> NeuralNetworkLayer {
    layer(name, &[input], &[output], Layer::Copy(Default::default()))
}

#[test]
fn inputs_have_the_types_of_both_mappings() {
    let range = |lower_bound, upper_bound| SizeRange { lower_bound, upper_bound };
    let ranges = ShapeFlexibility::ShapeRange(ShapeRange {
        size_ranges: vec![range(3, 3), range(1, 40), range(2, -1)],
    });
    let shapes = |all: &[&[i64]]| {
        let shapes = all.iter().map(|s| Shape { shape: s.to_vec() }).collect();
        Some(ShapeFlexibility::EnumeratedShapes(EnumeratedShapes { shapes }))
    };
    let sizes = SizeFlexibility::ImageSizeRange(ImageSizeRange {
        width_range: Some(range(20, 20)),
        height_range: Some(range(8, 64)),
    });
    let cases = [
        (array(&[7], None), "[1, 1, 7, 1, 1]", "[7]"),
        (array(&[3, 5, 4], None), "[1, 1, 3, 5, 4]", "[3, 5, 4]"),
        (array(&[2, 9], None), "[1, 1, ?, ?, ?]", "[2, 9]"),
        (array(&[1, 1, 48, 0], None), "[1, 1, 1, 48, ?]", "[1, 1, 48, ?]"),
        (array(&[3, 5, 4], Some(ranges)), "[1, 1, 3, ?, ?]", "[3, ?, ?]"),
        (array(&[3, 5, 4], shapes(&[&[3, 5, 4], &[3, 6, 4]])), "[1, 1, 3, ?, 4]", "[3, ?, 4]"),
        (array(&[3, 5], shapes(&[&[3, 5], &[3]])), "[1, 1, ?, ?, ?]", "[...]"),
        (array(&[], None), "[1, 1, ?, ?, ?]", "[...]"),
        (image(ColorSpace::Rgb, None), "[1, 1, 3, 10, 20]", "[1, 3, 10, 20]"),
        (image(ColorSpace::Grayscale, Some(sizes)), "[1, 1, 1, ?, 20]", "[1, 1, ?, 20]"),
    ];
    for (input, five, exact) in cases {
        for (mapping, want) in [(0, five), (1, exact)] {
            let model = network(vec![copy("c", "x", "y")], input.clone(), mapping);
            let document = common::read(model.encode_to_vec());
            let p = &document.parts[0].program;
            let x = p.block(p.functions().next().unwrap().1.body).args[0];
            assert_eq!(p.ty(x).to_string(), format!("tensor<fp32, {want}>"));
        }
    }
    let model = network(vec![copy("c", "x", "y")], feature_type::Type::StringType(Default::default()), 1);
    let document = common::read(model.encode_to_vec());
    let p = &document.parts[0].program;
    assert_eq!(p.ty(p.block(p.functions().next().unwrap().1.body).args[0]), &Type::Unknown);
}

#[test]
fn blobs_that_do_not_add_up() {
    let read = |layers| {
        let model = network(layers, array(&[2], None), 1);
        import_spec(Path::new("bad.mlmodel"), &model.encode_to_vec().into(), &NoFiles)
    };
    let error = read(vec![copy("a", "x", "b"), copy("b", "c", "y"), copy("c", "b", "c")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"bad.mlmodel: neuralNetwork.layers[1].input[0]: "c" is used before it is defined"#
    );
    let error = read(vec![copy("a", "nothing", "y")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"bad.mlmodel: neuralNetwork.layers[0].input[0]: "nothing" is not defined"#
    );
    let twice = layer("s", &["x"], &["y", "y"], Layer::Split(Default::default()));
    assert!(matches!(read(vec![twice]).unwrap_err().problem(), Problem::DefinedTwice(_)));
    // Without its output, every blob that nothing reads is kept.
    let document = read(vec![copy("a", "x", "b"), copy("b", "x", "c"), copy("c", "b", "d")]).unwrap();
    let p = &document.parts[0].program;
    assert_eq!(names(p, &p.block(p.functions().next().unwrap().1.body).outputs), ["c", "d"]);
    assert_eq!(document.notes(), [Note::OutputNotMade { output: "y".into() }, Note::NoOutput]);
    assert_eq!(read(vec![]).unwrap().parts[0].program.op_count(), 0);
}

#[test]
fn a_layer_of_a_newer_schema_is_opaque() {
    let mut model = network(vec![copy("c", "x", "y")], array(&[2], None), 1);
    let Some(model::Type::NeuralNetwork(n)) = &mut model.r#type else { unreachable!() };
    n.layers[0].layer = None;
    let spec = model.encode_to_vec();
    let at = common::messages(&spec).into_iter().find(|f| f.kind == "layer").unwrap();
    let mut edits = coreml_proto::splice::Edits::new();
    let mut field = coreml_proto::rope::Rope::new();
    field.push_bytes_field(2900, vec![8, 1]);
    edits.append(at.content, field);
    let spec = edits.apply(&spec, 0..spec.len()).unwrap().to_vec(&spec).unwrap();
    let document = common::read(spec);
    let p = &document.parts[0].program;
    let op = p.op(p.op_ids().next().unwrap());
    assert_eq!((&*op.kind, op.sealed), ("nn.unknown", true));
    assert!(export(&document, &NoFiles).unwrap().is_unchanged(&document));
}

/// A dense layer from 2 to 3, its weights in the form that `field` encodes.
fn dense(weights: &[u8]) -> Bytes {
    let params = InnerProductLayerParams {
        input_channels: 2,
        output_channels: 3,
        weights: Some(WeightParams::default()),
        ..Default::default()
    };
    let dense = layer("dense", &["x"], &["y"], Layer::InnerProduct(params));
    let spec = network(vec![dense], array(&[2], None), 1).encode_to_vec();
    let at = common::messages(&spec).into_iter().find(|f| f.kind == "weights").unwrap();
    let mut edits = coreml_proto::splice::Edits::new();
    let mut rope = coreml_proto::rope::Rope::new();
    rope.push_slice(weights);
    edits.append(at.content, rope);
    edits.apply(&spec, 0..spec.len()).unwrap().to_vec(&spec).unwrap().into()
}

#[test]
fn weights_are_read_in_every_form_that_protobuf_allows() {
    let floats = [1.5f32, -2.0, 0.25, 8.0, -0.5, 3.0];
    let packed = |part: &[f32]| {
        let bytes: Vec<u8> = part.iter().flat_map(|f| f.to_le_bytes()).collect();
        [vec![0x0a, bytes.len() as u8], bytes].concat()
    };
    let loose =
        |part: &[f32]| part.iter().flat_map(|f| [&[0x0d][..], &f.to_le_bytes()].concat()).collect::<Vec<_>>();
    let forms = [
        packed(&floats),
        [packed(&floats[..2]), packed(&floats[2..])].concat(),
        loose(&floats),
        [packed(&floats[..1]), loose(&floats[1..4]), packed(&floats[4..])].concat(),
    ];
    for (i, form) in forms.iter().enumerate() {
        let spec = dense(form);
        let want = Model::decode(spec.clone()).unwrap();
        let document = common::read(spec.clone());
        let p = &document.parts[0].program;
        let op = p.op(p.op_ids().next().unwrap());
        let weight = &p.constant(op.arg("weights").unwrap()).unwrap().tensor;
        let values: Vec<f64> = floats.iter().map(|&f| f64::from(f)).collect();
        assert_eq!(weight.to_f64s().unwrap(), values, "form {i}");
        assert_eq!((weight.dims(), weight.dtype()), (&[6][..], DType::F32));
        if let (0, Payload::Bytes(b)) = (i, weight.payload()) {
            assert!(spec.as_ptr_range().contains(&b.as_ptr()), "one packed chunk is a slice of the file");
        }
        let anew = anewrite_convert::export_anew(&document, &NoFiles).unwrap();
        assert!(Model::decode(&*anew.model.to_vec(&spec).unwrap()).unwrap() == want, "form {i}");
    }
    let cut = import_spec(Path::new("cut"), &dense(&[0x0a, 5, 0, 0, 0, 0, 0]), &NoFiles).unwrap_err();
    assert!(cut.to_string().contains("5 bytes of packed elements of 4 bytes each"), "{cut}");
}

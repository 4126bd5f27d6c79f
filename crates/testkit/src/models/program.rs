//! A function of an ML Program, op by op, spelt as coremltools spells it: every argument is a constant op with a name,
//! small constants stand in the program, weights in the weight file.

use std::io;
use std::path::Path;

use coreml_proto::mil::argument::{Binding, binding};
use coreml_proto::mil::dimension::{ConstantDimension, Dimension as DimensionKind};
use coreml_proto::mil::tensor_value::{RepeatedBools, RepeatedBytes, RepeatedInts, RepeatedStrings};
use coreml_proto::mil::value::{self, BlobFileValue, ImmediateValue, immediate_value};
use coreml_proto::mil::{
    Argument, Block, DataType, Dimension, Function, NamedValueType, Operation, Program, TensorType,
    TensorValue, Value, ValueType, tensor_value, value_type,
};
use coreml_proto::spec::{FeatureDescription, Model, ModelDescription, model};

use super::blobs::Blobs;
use super::package;
use super::random::Random;

/// The opset that programs are written in, that of iOS 16, with the specification version that goes with it.
const OPSET: &str = "CoreML6";
const SPECIFICATION: i32 = 7;
/// What stands for the package's folder in the name of a weight file.
const WEIGHT_FILE: &str = "@model_path/weights/weight.bin";

/// A value of 16-bit floats and its shape.
#[derive(Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
}

/// The value of an argument.
pub(super) enum Arg<'a> {
    /// What an op before gave.
    Of(&'a Tensor),
    /// Several of them, in order.
    All(&'a [&'a Tensor]),
    /// An integer.
    Int(i32),
    /// A list of integers.
    Ints(&'a [i32]),
    /// A truth value.
    Bool(bool),
    /// A list of truth values.
    Bools(&'a [bool]),
    /// A text.
    Text(&'a str),
    /// A 16-bit float, by its bits.
    Half(u16),
    /// Random weights of this shape.
    Weights(&'a [i64]),
}

/// The bits of 16-bit floats that the models use.
pub(super) mod half {
    pub(in super::super) const ZERO: u16 = 0;
    /// About 1e-5, which is below the smallest normal number.
    pub(in super::super) const EPSILON: u16 = 0x00a8;
    pub(in super::super) const EIGHTH: u16 = 0x3000;
    pub(in super::super) const SIX: u16 = 0x4600;
}

/// A program that is being written.
pub(super) struct Builder {
    operations: Vec<Operation>,
    blobs: Blobs,
    pub(super) random: Random,
    inputs: Vec<FeatureDescription>,
    computing: usize,
}

impl Builder {
    /// Begins a package, whose folder must not exist.
    pub(super) fn create(path: &Path, seed: u64) -> io::Result<Builder> {
        let blobs = package::begin(path)?;
        let (operations, inputs) = (Vec::new(), Vec::new());
        Ok(Builder { operations, blobs, random: Random::new(seed), inputs, computing: 0 })
    }

    /// Ops so far that are no constants.
    pub(super) fn computing(&self) -> usize {
        self.computing
    }

    /// Bytes of weights so far.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.blobs.len()
    }

    /// An input of 32-bit floats, cast to 16 bits by an op.
    pub(super) fn input(&mut self, name: &str, shape: &[i64]) -> io::Result<Tensor> {
        self.inputs.push(feature(name, shape));
        let input = Tensor { name: name.to_owned(), shape: shape.to_vec() };
        self.op("cast", &[("x", Arg::Of(&input)), ("dtype", Arg::Text("fp16"))], shape)
    }

    /// An op with one result of 16-bit floats. Its constant arguments become constant ops before it.
    pub(super) fn op(&mut self, kind: &str, args: &[(&str, Arg<'_>)], shape: &[i64]) -> io::Result<Tensor> {
        self.typed_op(kind, args, shape, DataType::Float16)
    }

    /// A cast to 32 bits.
    pub(super) fn widened(&mut self, x: &Tensor) -> io::Result<Tensor> {
        let args = [("x", Arg::Of(x)), ("dtype", Arg::Text("fp32"))];
        self.typed_op("cast", &args, &x.shape, DataType::Float32)
    }

    fn typed_op(
        &mut self,
        kind: &str,
        args: &[(&str, Arg<'_>)],
        shape: &[i64],
        dtype: DataType,
    ) -> io::Result<Tensor> {
        let name = format!("{kind}_{}", self.computing);
        let mut operation = Operation { r#type: kind.to_owned(), ..Default::default() };
        for (param, arg) in args {
            let names = match arg {
                Arg::Of(tensor) => vec![tensor.name.clone()],
                Arg::All(tensors) => tensors.iter().map(|tensor| tensor.name.clone()).collect(),
                constant => vec![self.constant(format!("{name}_{param}_0"), constant)?],
            };
            let arguments = names
                .into_iter()
                .map(|name| Binding { binding: Some(binding::Binding::Name(name)) })
                .collect();
            operation.inputs.insert((*param).to_owned(), Argument { arguments });
        }
        operation.outputs = vec![named(&name, dtype, shape)];
        operation.attributes.insert("name".to_owned(), text(&name));
        self.operations.push(operation);
        self.computing += 1;
        Ok(Tensor { name, shape: shape.to_vec() })
    }

    /// Writes a constant op and gives its name.
    fn constant(&mut self, name: String, arg: &Arg<'_>) -> io::Result<String> {
        let ints = |values: &[i32]| tensor_value::Value::Ints(RepeatedInts { values: values.to_vec() });
        let bools = |values: &[bool]| tensor_value::Value::Bools(RepeatedBools { values: values.to_vec() });
        let (dtype, shape, value) = match arg {
            Arg::Int(x) => (DataType::Int32, vec![], immediate(ints(&[*x]))),
            Arg::Ints(x) => (DataType::Int32, vec![x.len() as i64], immediate(ints(x))),
            Arg::Bool(x) => (DataType::Bool, vec![], immediate(bools(&[*x]))),
            Arg::Bools(x) => (DataType::Bool, vec![x.len() as i64], immediate(bools(x))),
            Arg::Text(x) => (DataType::String, vec![], immediate(strings(x))),
            Arg::Half(x) => {
                let values = x.to_le_bytes().to_vec().into();
                (DataType::Float16, vec![], immediate(tensor_value::Value::Bytes(RepeatedBytes { values })))
            }
            Arg::Weights(shape) => {
                let count = shape.iter().product::<i64>() as u64;
                let offset = self.blobs.halves(count, &mut self.random)?;
                let blob = BlobFileValue { file_name: WEIGHT_FILE.to_owned(), offset };
                (DataType::Float16, shape.to_vec(), value::Value::BlobFileValue(blob))
            }
            Arg::Of(_) | Arg::All(_) => return Err(super::refused("a value is no constant")),
        };
        let mut operation = Operation { r#type: "const".to_owned(), ..Default::default() };
        operation.outputs = vec![named(&name, dtype, &shape)];
        let value =
            Value { r#type: Some(tensor_type(dtype, &shape)), value: Some(value), ..Default::default() };
        operation.attributes.insert("name".to_owned(), text(&name));
        operation.attributes.insert("val".to_owned(), value);
        self.operations.push(operation);
        Ok(name)
    }

    /// Casts the result to 32 bits, and writes the package.
    pub(super) fn finish(mut self, path: &Path, result: &Tensor) -> io::Result<()> {
        let output = self.widened(result)?;
        let inputs = self.inputs.iter().map(|input| {
            let shape = match input.r#type.as_ref().and_then(|ty| ty.r#type.as_ref()) {
                Some(coreml_proto::spec::feature_type::Type::MultiArrayType(array)) => &array.shape[..],
                _ => &[],
            };
            named(&input.name, DataType::Float32, shape)
        });
        let block =
            Block { outputs: vec![output.name.clone()], operations: self.operations, ..Default::default() };
        let function = Function {
            inputs: inputs.collect(),
            opset: OPSET.to_owned(),
            block_specializations: [(OPSET.to_owned(), block)].into(),
            ..Default::default()
        };
        let program =
            Program { version: 1, functions: [("main".to_owned(), function)].into(), ..Default::default() };
        let description = ModelDescription {
            input: self.inputs,
            output: vec![feature(&output.name, &output.shape)],
            ..Default::default()
        };
        let model = Model {
            specification_version: SPECIFICATION,
            description: Some(description),
            r#type: Some(model::Type::MlProgram(program)),
            ..Default::default()
        };
        package::finish(path, &model, self.blobs)
    }
}

fn feature(name: &str, shape: &[i64]) -> FeatureDescription {
    FeatureDescription { name: name.to_owned(), r#type: Some(package::array(shape)), ..Default::default() }
}

fn named(name: &str, dtype: DataType, shape: &[i64]) -> NamedValueType {
    NamedValueType { name: name.to_owned(), r#type: Some(tensor_type(dtype, shape)) }
}

fn tensor_type(dtype: DataType, shape: &[i64]) -> ValueType {
    let dimension = |extent: &i64| Dimension {
        dimension: Some(DimensionKind::Constant(ConstantDimension { size: *extent as u64 })),
    };
    let tensor = TensorType {
        data_type: dtype as i32,
        rank: shape.len() as i64,
        dimensions: shape.iter().map(dimension).collect(),
        ..Default::default()
    };
    ValueType { r#type: Some(value_type::Type::TensorType(tensor)) }
}

fn text(value: &str) -> Value {
    let ty = Some(tensor_type(DataType::String, &[]));
    Value { r#type: ty, value: Some(immediate(strings(value))), ..Default::default() }
}

fn strings(value: &str) -> tensor_value::Value {
    tensor_value::Value::Strings(RepeatedStrings { values: vec![value.to_owned()] })
}

fn immediate(value: tensor_value::Value) -> value::Value {
    let tensor = TensorValue { value: Some(value) };
    value::Value::ImmediateValue(ImmediateValue { value: Some(immediate_value::Value::Tensor(tensor)) })
}

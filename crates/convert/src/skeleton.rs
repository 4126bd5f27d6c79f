//! New models: a description around programs that are yet to be filled.

use std::path::Path;
use std::sync::Arc;

use anewrite_ir::{Opset, TensorType, Type};
use anewrite_tensor::DType;
use bytes::Bytes;
use coreml_package::{BlobFile, OpenError, OpenProblem};
use coreml_proto::mil::{self, argument, dimension, tensor_value, value, value_type};
use coreml_proto::spec::feature_type::Type as FeatureOneof;
use coreml_proto::spec::{self, FeatureDescription, Model, ModelDescription, Pipeline, model};
use prost::Message;

use crate::document::Document;
use crate::error::{ImportError, Problem};
use crate::interface::Labels;
use crate::mil::new_named;
use crate::model::import_spec;
use crate::weights::WeightSource;

/// The kind of the ops that stand for what a new program is to compute.
const PLACEHOLDER: &str = "identity";

/// A model with an ML Program that is yet to be filled.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// Its place: empty for the model itself, `pipeline.models[1]` in a pipeline, as [`Part::path`](crate::Part::path)
    /// has it.
    pub path: String,
    /// What it says of its interface.
    pub description: ModelDescription,
    /// The opset of its function `main`, which the specification version follows.
    pub opset: Opset,
    /// Names and types of the function's inputs.
    pub inputs: Vec<(String, Type)>,
    /// Names of the function's outputs, but for those of a classifier's labels.
    pub outputs: Vec<String>,
    /// The labels of a classifier, in the order of its probabilities.
    pub labels: Option<Labels>,
}

impl Document {
    /// A model in which ML Programs stand in the place of others; all else is this document's. Each new program has its
    /// inputs and, for each of its outputs in order (for the probabilities of a classifier after those), an `identity`
    /// op whose result stands for what is to be computed. [`export`](crate::export) with [`NewPackage`] writes it when
    /// they are replaced.
    ///
    /// # Errors
    /// Where a place is not in the model, or the model cannot be read.
    pub fn with_programs(&self, models: &[NewModel]) -> Result<Document, ImportError> {
        let file = Path::new("(new model)");
        let fail = |p: Problem| ImportError::new(file, p.into());
        let model = match models {
            [one] if one.path.is_empty() => new_model(one).map_err(fail)?,
            models => {
                let mut outer = Model::decode(self.spec().as_ref()).map_err(|e| fail(e.into()))?;
                for m in models {
                    let place = find(&mut outer, &m.path);
                    *place.ok_or_else(|| fail(Problem::UnknownName(m.path.clone())))? =
                        new_model(m).map_err(fail)?;
                }
                if let Some(d) = &mut outer.description {
                    for f in d.input.iter_mut().chain(&mut d.output) {
                        follow(f, models);
                    }
                }
                let newest = models.iter().map(|m| version(m.opset)).max().unwrap_or(0);
                outer.specification_version = outer.specification_version.max(newest);
                outer
            }
        };
        import_spec(file, &model.encode_to_vec().into(), &NewPackage)
    }
}

/// Where a model that is yet to be written as a package has its weights: nowhere so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewPackage;

impl WeightSource for NewPackage {
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        Err(OpenError::new(
            "(new package)",
            OpenProblem::MissingItem { named_by: "the model", name: reference.into() },
        ))
    }

    fn has_files(&self) -> bool {
        true
    }
}

/// Gives an array of a pipeline the type that it has in the new models.
fn follow(feature: &mut FeatureDescription, models: &[NewModel]) {
    let is_array = |f: &FeatureDescription| {
        matches!(f.r#type.as_ref().and_then(|t| t.r#type.as_ref()), Some(FeatureOneof::MultiArrayType(_)))
    };
    let all = models.iter().flat_map(|m| m.description.input.iter().chain(&m.description.output));
    let same = all.into_iter().find(|f| f.name == feature.name && is_array(f) && is_array(feature));
    if let Some(same) = same {
        feature.r#type.clone_from(&same.r#type);
    }
}

/// The specification version that came with an opset.
fn version(opset: Opset) -> i32 {
    match opset {
        Opset::Ios15 => 6,
        Opset::Ios16 => 7,
        Opset::Ios17 => 8,
        Opset::Ios18 => 9,
        Opset::Ios26 => 10,
    }
}

/// The model at a place such as `pipelineClassifier.pipeline.models[0]`.
fn find<'m>(outer: &'m mut Model, path: &str) -> Option<&'m mut Model> {
    let mut at = outer;
    for step in path.split('.') {
        let Some(index) = step.strip_prefix("models[").and_then(|s| s.strip_suffix(']')) else { continue };
        at = pipeline(at)?.models.get_mut(index.parse::<usize>().ok()?)?;
    }
    Some(at)
}

fn pipeline(model: &mut Model) -> Option<&mut Pipeline> {
    match model.r#type.as_mut()? {
        model::Type::Pipeline(p) => Some(p),
        model::Type::PipelineClassifier(p) => p.pipeline.as_mut(),
        model::Type::PipelineRegressor(p) => p.pipeline.as_mut(),
        _ => None,
    }
}

fn new_model(new: &NewModel) -> Result<Model, Problem> {
    let name = |v: &str, ty: &Type| new_named(v, ty);
    let inputs = new.inputs.iter().map(|(n, ty)| name(n, ty)).collect::<Result<Vec<_>, _>>()?;
    let single: Type = TensorType::fixed(DType::F32, []).into();
    let mut operations = Vec::new();
    for output in &new.outputs {
        operations.push(placeholder(output, &single)?);
    }
    let mut outputs = new.outputs.clone();
    if let Some(labels) = &new.labels {
        let probabilities = unused(&new.inputs, &new.outputs);
        operations.push(placeholder(&probabilities, &single)?);
        let d = &new.description;
        let label: Type = TensorType::fixed(
            match labels {
                Labels::Text(_) => DType::String,
                Labels::Int(_) => DType::I64,
            },
            [],
        )
        .into();
        let number = TensorType::fixed(DType::F64, []).into();
        let dictionary = Type::Dict { key: Box::new(label.clone()), value: Box::new(number) };
        let (first, second) = (&d.predicted_feature_name, &d.predicted_probabilities_name);
        let mut classify = mil::Operation {
            r#type: "classify".into(),
            outputs: vec![name(first, &label)?, name(second, &dictionary)?],
            ..Default::default()
        };
        let bound = argument::binding::Binding::Name(probabilities);
        classify.inputs.insert("probabilities".into(), argument(bound));
        classify
            .inputs
            .insert("classes".into(), argument(argument::binding::Binding::Value(classes(labels)?)));
        classify.attributes.insert("name".into(), text(first));
        operations.push(classify);
        outputs.extend([first.clone(), second.clone()]);
    }
    let block = mil::Block { outputs, operations, ..Default::default() };
    let opset = new.opset.name().to_owned();
    let main = mil::Function {
        inputs,
        opset: opset.clone(),
        block_specializations: [(opset, block)].into(),
        ..Default::default()
    };
    let program =
        mil::Program { version: 1, functions: [("main".to_owned(), main)].into(), ..Default::default() };
    Ok(spec::Model {
        specification_version: version(new.opset),
        description: Some(new.description.clone()),
        r#type: Some(model::Type::MlProgram(program)),
        ..Default::default()
    })
}

/// A name that nothing has.
fn unused(inputs: &[(String, Type)], outputs: &[String]) -> String {
    let taken = |name: &str| inputs.iter().any(|(n, _)| n == name) || outputs.iter().any(|n| n == name);
    let mut name = "probabilities".to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}

fn argument(binding: argument::binding::Binding) -> mil::Argument {
    mil::Argument { arguments: vec![argument::Binding { binding: Some(binding) }] }
}

fn placeholder(name: &str, ty: &Type) -> Result<mil::Operation, Problem> {
    let zero = tensor_value::Value::Floats(tensor_value::RepeatedFloats { values: vec![0.0] });
    let mut op = mil::Operation {
        r#type: PLACEHOLDER.into(),
        outputs: vec![new_named(name, ty)?],
        ..Default::default()
    };
    let single = new_named("", ty)?.r#type;
    let zero = argument::binding::Binding::Value(immediate(single, zero));
    op.inputs.insert("x".into(), argument(zero));
    op.attributes.insert("name".into(), text(name));
    Ok(op)
}

fn immediate(ty: Option<mil::ValueType>, tensor: tensor_value::Value) -> mil::Value {
    let tensor = mil::TensorValue { value: Some(tensor) };
    let held = value::ImmediateValue { value: Some(value::immediate_value::Value::Tensor(tensor)) };
    mil::Value { r#type: ty, value: Some(value::Value::ImmediateValue(held)), ..Default::default() }
}

fn scalar(dtype: mil::DataType) -> mil::ValueType {
    let tensor = mil::TensorType { data_type: dtype.into(), ..Default::default() };
    mil::ValueType { r#type: Some(value_type::Type::TensorType(tensor)) }
}

fn text(s: &str) -> mil::Value {
    let strings = tensor_value::RepeatedStrings { values: vec![s.to_owned()] };
    immediate(Some(scalar(mil::DataType::String)), tensor_value::Value::Strings(strings))
}

/// A list of labels.
fn classes(labels: &Labels) -> Result<mil::Value, Problem> {
    let (element, values): (_, Vec<mil::Value>) = match labels {
        Labels::Text(all) => (scalar(mil::DataType::String), all.iter().map(|s| text(s)).collect()),
        Labels::Int(all) => {
            let one = |&n: &i64| {
                let ints = tensor_value::RepeatedLongInts { values: vec![n] };
                immediate(Some(scalar(mil::DataType::Int64)), tensor_value::Value::LongInts(ints))
            };
            (scalar(mil::DataType::Int64), all.iter().map(one).collect())
        }
    };
    let size = dimension::ConstantDimension { size: values.len() as u64 };
    let length = mil::Dimension { dimension: Some(dimension::Dimension::Constant(size)) };
    let list = mil::ListType { r#type: Some(Box::new(element)), length: Some(length) };
    let ty = mil::ValueType { r#type: Some(value_type::Type::ListType(Box::new(list))) };
    let list = value::immediate_value::Value::List(mil::ListValue { values });
    let held = value::ImmediateValue { value: Some(list) };
    Ok(mil::Value { r#type: Some(ty), value: Some(value::Value::ImmediateValue(held)), ..Default::default() })
}

impl crate::Export {
    /// The specification as bytes, for one that is new.
    ///
    /// # Errors
    /// Where the document is not the one that was exported.
    pub fn model_bytes(&self, document: &Document) -> Result<Bytes, String> {
        self.model.to_vec(document.spec()).map(Bytes::from).map_err(|e| e.to_string())
    }
}

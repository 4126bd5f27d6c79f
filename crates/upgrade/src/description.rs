//! The interface of an ML Program, from that of a NeuralNetwork.

use std::collections::BTreeMap;

use anewrite_convert::{Document, Labels, NetworkHead, NewModel, Part};
use anewrite_ir::{Dim, Shape, TensorType, Type, ValueId};
use anewrite_nn::Mapping;
use anewrite_tensor::DType;
use coreml_proto::spec::array_feature_type::{ArrayDataType, DefaultOptionalValue, ShapeFlexibility};
use coreml_proto::spec::feature_type::Type as Feature;
use coreml_proto::spec::image_feature_type::ColorSpace;
use coreml_proto::spec::{ArrayFeatureType, FeatureDescription, FeatureType, ModelDescription, SizeRange};

use crate::UpgradeOptions;
use crate::error::Refusal;
use crate::names::identifier;

/// A network's new model, and how its features relate to it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) model: NewModel,
    pub(crate) head: NetworkHead,
    pub(crate) mapping: Mapping,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    /// The value with the probabilities of a classifier.
    pub(crate) probabilities: Option<ValueId>,
    pub(crate) notes: Vec<String>,
}

/// An input.
#[derive(Debug)]
pub(crate) struct Input {
    /// Its name in the source.
    pub(crate) old: String,
    /// The order of the channels, if it is an image.
    pub(crate) color: Option<ColorSpace>,
    /// The type that the network's lowering takes.
    pub(crate) lowered: Type,
}

/// An output.
#[derive(Debug)]
pub(crate) struct Output {
    /// The network's value.
    pub(crate) value: ValueId,
    pub(crate) is_image: bool,
    pub(crate) dtype: DType,
    /// Its extents as they are described, if they are.
    pub(crate) shape: Option<Vec<u64>>,
}

pub(crate) fn draft(
    document: &Document,
    part: &Part,
    options: UpgradeOptions,
) -> Result<Draft, Vec<Refusal>> {
    let refuse = |why: String| vec![Refusal::new(&part.path, why)];
    let head = document.head(part).map_err(|e| refuse(e.to_string()))?.unwrap_or_default();
    let mut maker = Maker { part, names: BTreeMap::new(), notes: Vec::new(), refusals: Vec::new() };
    let made = maker.make(head, options);
    let refusals = maker.refusals.into_iter().map(|why| Refusal::new(&part.path, why)).collect::<Vec<_>>();
    match made {
        Some(draft) if refusals.is_empty() => Ok(draft),
        _ => Err(refusals),
    }
}

struct Maker<'p> {
    part: &'p Part,
    /// New names of features by old ones.
    names: BTreeMap<String, String>,
    notes: Vec<String>,
    refusals: Vec<String>,
}

impl Maker<'_> {
    fn make(&mut self, head: NetworkHead, options: UpgradeOptions) -> Option<Draft> {
        let part = self.part;
        if part.info().is_updatable {
            self.refusals.push("it can be trained on the device, which ML Programs cannot".into());
        }
        let mut d = part.info().description().clone();
        d.training_input.clear();
        d.functions.clear();
        let is_classifier = head.labels.is_some();
        for f in d.input.iter().chain(&d.output) {
            self.name(&f.name);
        }
        let p = &part.program;
        let (_, function) = p.functions().next()?;
        let body = p.block(function.body);
        let mapping = Mapping::of(p);
        let mut inputs = Vec::new();
        let mut types = Vec::new();
        for f in &mut d.input {
            let arg = body.args.iter().copied().find(|&v| *p.value(v).name == *f.name)?;
            let old = f.name.clone();
            f.name = self.names.get(&old).cloned().unwrap_or_else(|| old.clone());
            match self.input(f, &old, p.ty(arg), mapping) {
                Some((ty, input)) => {
                    types.push((f.name.clone(), ty));
                    inputs.push(input);
                }
                None => self
                    .refusals
                    .push(format!("input {old}: it is neither an array nor an image of a known kind")),
            }
        }
        let value_of = |name: &str| body.outputs.iter().copied().find(|&v| *p.value(v).name == *name);
        let probabilities = is_classifier.then(|| match head.probabilities.as_str() {
            "" => body.outputs.last().copied(),
            name => value_of(name),
        });
        if probabilities == Some(None) {
            self.refusals.push("no layer gives the classifier's probabilities".into());
        }
        let mut outputs = Vec::new();
        let mut names = Vec::new();
        let (label, dictionary) = (d.predicted_feature_name.clone(), d.predicted_probabilities_name.clone());
        for f in &mut d.output {
            let old = f.name.clone();
            f.name = self.names.get(&old).cloned().unwrap_or_else(|| old.clone());
            if is_classifier && (old == label || old == dictionary) {
                continue;
            }
            match value_of(&old).and_then(|v| self.output(f, &old, v)) {
                Some(output) => {
                    names.push(f.name.clone());
                    outputs.push(output);
                }
                None => {
                    self.refusals.push(format!("output {old}: no layer gives it as an array or an image"))
                }
            }
        }
        let labels = if is_classifier { self.classes(&mut d, head.labels.clone()) } else { None };
        if !is_classifier {
            d.predicted_feature_name.clear();
            d.predicted_probabilities_name.clear();
        }
        let model = NewModel {
            path: part.path.clone(),
            description: d,
            opset: options.opset,
            inputs: types,
            outputs: names,
            labels,
        };
        let probabilities = probabilities.flatten();
        let notes = std::mem::take(&mut self.notes);
        Some(Draft { model, head, mapping, inputs, outputs, probabilities, notes })
    }

    /// Finds the new name of a feature.
    fn name(&mut self, old: &str) {
        let new = identifier(old, &self.names);
        if new != old {
            if self.part.path.is_empty() {
                self.notes.push(format!("{old} is named {new}: an ML Program takes identifiers only"));
            } else {
                self.refusals.push(format!(
                    "the name {old} is no identifier, and what else is in the pipeline refers to it"
                ));
            }
        }
        self.names.insert(old.to_owned(), new);
    }

    /// Labels and the two outputs that a classifier must have.
    fn classes(&mut self, d: &mut ModelDescription, labels: Option<Labels>) -> Option<Labels> {
        let new = |names: &BTreeMap<String, String>, old: &str| {
            names.get(old).cloned().unwrap_or_else(|| identifier(old, names))
        };
        let label = match d.predicted_feature_name.as_str() {
            "" => "classLabel".to_owned(),
            old => new(&self.names, old),
        };
        let probabilities = match d.predicted_probabilities_name.as_str() {
            "" => format!("{label}_probs"),
            old => new(&self.names, old),
        };
        for (name, what) in [(&label, "label"), (&probabilities, "probabilities")] {
            if !d.output.iter().any(|f| f.name == *name) {
                self.notes.push(format!("the output {name} was added: a classifier gives its {what}"));
                let ty = match (what, &labels) {
                    ("label", Some(Labels::Int(_))) => Feature::Int64Type(Default::default()),
                    ("label", _) => Feature::StringType(Default::default()),
                    (_, Some(Labels::Int(_))) => dictionary(true),
                    _ => dictionary(false),
                };
                let ty = FeatureType { r#type: Some(ty), ..Default::default() };
                d.output.push(FeatureDescription {
                    name: name.clone(),
                    r#type: Some(ty),
                    ..Default::default()
                });
            }
        }
        (d.predicted_feature_name, d.predicted_probabilities_name) = (label, probabilities);
        labels
    }

    /// The type of an input in the program, and what the network makes of it.
    fn input(
        &mut self,
        f: &mut FeatureDescription,
        old: &str,
        network: &Type,
        mapping: Mapping,
    ) -> Option<(Type, Input)> {
        let ty = f.r#type.as_mut()?;
        let optional = ty.is_optional;
        let (ty, color) = match ty.r#type.as_mut()? {
            Feature::MultiArrayType(a) => (self.array(a, old, network, mapping, optional)?, None),
            Feature::ImageType(i) => {
                let color = i.color_space();
                let TensorType { shape: Some(shape), .. } = network.tensor()? else { return None };
                let four: Shape = shape.iter().copied().skip(shape.len().checked_sub(4)?).collect();
                four.get(1)?.known()?;
                (TensorType { dtype: DType::F32, shape: Some(four) }.into(), Some(color))
            }
            _ => return None,
        };
        Some((ty, Input { old: old.to_owned(), color, lowered: mapping.lowered(network) }))
    }

    fn array(
        &mut self,
        a: &mut ArrayFeatureType,
        old: &str,
        network: &Type,
        mapping: Mapping,
        optional: bool,
    ) -> Option<Type> {
        let dtype = match a.data_type() {
            ArrayDataType::Int32 => DType::I32,
            ArrayDataType::Float32 => DType::F32,
            other => {
                if other == ArrayDataType::Double {
                    self.notes.push(format!("input {old} takes 32-bit floats: ML Programs take no doubles"));
                }
                a.set_data_type(ArrayDataType::Float32);
                if let Some(DefaultOptionalValue::DoubleDefaultValue(x)) = a.default_optional_value {
                    a.default_optional_value = Some(DefaultOptionalValue::FloatDefaultValue(x as f32));
                }
                DType::F32
            }
        };
        let TensorType { shape: Some(five), .. } = network.tensor()? else { return None };
        let rank = a.shape.len();
        let shape: Shape = match (mapping, rank) {
            (Mapping::Exact, _) => five.clone(),
            (Mapping::Rank5, 1) => five.get(2).copied().into_iter().collect(),
            (Mapping::Rank5, 3..=5) => five.iter().copied().skip(five.len().checked_sub(rank)?).collect(),
            _ => return None,
        };
        if shape.is_empty() || shape.len() != rank {
            return None;
        }
        if optional && a.default_optional_value.is_none() {
            self.refusals
                .push(format!("input {old}: it may be left out, and nothing says what stands for it then"));
        }
        if a.shape.iter().any(|&n| n < 1) {
            self.open(a, old);
        }
        Some(TensorType { dtype, shape: Some(shape) }.into())
    }

    /// Extents that are not described are any, which an ML Program states as a range.
    fn open(&mut self, a: &mut ArrayFeatureType, old: &str) {
        if a.shape_flexibility.is_none() {
            let range = |&n: &i64| match u64::try_from(n) {
                Ok(n) if n > 0 => SizeRange { lower_bound: n, upper_bound: n as i64 },
                _ => SizeRange { lower_bound: 1, upper_bound: -1 },
            };
            let size_ranges = a.shape.iter().map(range).collect();
            a.shape_flexibility =
                Some(ShapeFlexibility::ShapeRange(coreml_proto::spec::array_feature_type::ShapeRange {
                    size_ranges,
                }));
            self.notes.push(format!("input {old}: extents that were left open have a range from 1 on"));
        }
        for n in a.shape.iter_mut().filter(|n| **n < 1) {
            *n = 1;
        }
    }

    fn output(&mut self, f: &mut FeatureDescription, old: &str, value: ValueId) -> Option<Output> {
        let ty = f.r#type.as_mut()?;
        let plain = |dtype, shape| Output { value, is_image: false, dtype, shape };
        match ty.r#type.as_mut()? {
            Feature::MultiArrayType(a) => {
                let dtype = match a.data_type() {
                    ArrayDataType::Int32 => DType::I32,
                    ArrayDataType::Float32 => DType::F32,
                    other => {
                        if other == ArrayDataType::Double {
                            self.notes
                                .push(format!("output {old} has 32-bit floats: ML Programs give no doubles"));
                        }
                        a.set_data_type(ArrayDataType::Float32);
                        DType::F32
                    }
                };
                let known = |n: &i64| u64::try_from(*n).ok().filter(|&n| n > 0);
                let dims: Option<Vec<u64>> = a.shape.iter().map(known).collect();
                let shape = dims.filter(|d| !d.is_empty() && a.shape_flexibility.is_none());
                if shape.is_none() {
                    // what the program says holds
                    a.shape.clear();
                    a.shape_flexibility = None;
                }
                Some(plain(dtype, shape))
            }
            Feature::ImageType(_) => Some(Output { is_image: true, ..plain(DType::F32, None) }),
            Feature::DoubleType(_) | Feature::Int64Type(_) => {
                let is_int = matches!(ty.r#type, Some(Feature::Int64Type(_)));
                let dtype = if is_int { DType::I32 } else { DType::F32 };
                let mut a = ArrayFeatureType { shape: vec![1], ..Default::default() };
                a.set_data_type(if is_int { ArrayDataType::Int32 } else { ArrayDataType::Float32 });
                ty.r#type = Some(Feature::MultiArrayType(a));
                self.notes.push(format!("output {old} is an array of one number: ML Programs give arrays"));
                Some(plain(dtype, Some(vec![1])))
            }
            _ => None,
        }
    }
}

fn dictionary(of_ints: bool) -> Feature {
    use coreml_proto::spec::dictionary_feature_type::KeyType;
    let key = if of_ints {
        KeyType::Int64KeyType(Default::default())
    } else {
        KeyType::StringKeyType(Default::default())
    };
    Feature::DictionaryType(coreml_proto::spec::DictionaryFeatureType { key_type: Some(key) })
}

/// The dims of a type, if it is a tensor of known rank.
pub(crate) fn dims(ty: &Type) -> Option<&[Dim]> {
    ty.tensor().and_then(|t| t.shape.as_deref())
}

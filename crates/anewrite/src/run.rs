//! Running models: descriptions, images, preprocessing and pipelines around the evaluator.

use std::collections::BTreeMap;
use std::sync::Arc;

use anewrite_convert::{
    Color, Document, Feature, FeatureKind, Interface, Labels, NetworkHead, Part, Preprocessing,
    PreprocessingStep,
};
use anewrite_interp::{Array, Dict, EvalError, Evaluator, Observer, Options, Step, Value};
use anewrite_ir::{DialectId, Str, Type};
use anewrite_nn::Mapping;
use anewrite_tensor::DType;

use crate::features::Features;
use crate::{Error, Model};

/// How a model is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Arithmetic, memory and seed.
    pub evaluator: Options,
    /// The function of a model with several; by default the one that the model says.
    pub function: Option<String>,
}

/// A model that makes one prediction after the other: its states keep their content between them.
///
/// Arrays are taken in the shape of the description. An image is an array `[H, W, C]` of integers, red first, or an
/// array in the shape and channel order that the network sees, which is taken as it is.
///
/// ```
/// use anewrite::{Features, Model, RunOptions, Runner};
/// use anewrite_interp::Array;
/// use anewrite_tensor::DType;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
/// let model = Model::open(path)?;
/// let interface = model.document().info().interface(None);
/// println!("takes {:?}", interface.inputs);
/// let mut runner = Runner::new(&model, &RunOptions::default())?;
/// # let name = interface.inputs[0].name.clone();
/// # let x = Array::new(DType::F32, [1, 1, 28, 28], vec![0.5f32; 784])?;
/// let outputs = runner.predict(&Features::from([(name, x.into())]))?;
/// assert!(!outputs.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Runner<'m> {
    stages: Vec<Stage<'m>>,
    interface: Interface,
    is_pipeline: bool,
    function: String,
}

/// One network of a model.
struct Stage<'m> {
    part: &'m Part,
    interface: Interface,
    head: Option<NetworkHead>,
    evaluator: Evaluator<'m>,
}

/// Watches the networks of a model while it runs.
pub trait Watch {
    /// The observer of a part's run.
    fn part(&mut self, part: &Part) -> &mut dyn Observer;

    /// A function of a part is given these inputs, images as they come.
    fn given(&mut self, part: &Part, function: &str, inputs: &[(Str, Value)]) {
        let _ = (part, function, inputs);
    }

    /// A function of a part is about to run on these inputs: images were prepared.
    fn enter(&mut self, part: &Part, function: &str, inputs: &[(Str, Value)]) {
        let _ = (part, function, inputs);
    }
}

/// Nobody watches.
struct Nobody;

impl Watch for Nobody {
    fn part(&mut self, _: &Part) -> &mut dyn Observer {
        self
    }
}

impl Observer for Nobody {
    fn after(&mut self, _: &Step<'_>) -> Result<(), EvalError> {
        Ok(())
    }
}

impl<'m> Runner<'m> {
    /// A runner whose states are all zero.
    ///
    /// # Errors
    /// Where the model has no such function, or what surrounds its networks cannot be read.
    pub fn new(model: &'m Model, options: &RunOptions) -> Result<Runner<'m>, Error> {
        Runner::of(model.document(), options)
    }

    /// As [`Runner::new`], for a document that may have been changed.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn of(document: &'m Document, options: &RunOptions) -> Result<Runner<'m>, Error> {
        let info = document.info();
        let function = options.function.as_deref();
        let name = function.unwrap_or(info.default_function()).to_owned();
        let is_pipeline = info.kind.starts_with("pipeline");
        let stages = document.parts.iter().map(|part| {
            Ok(Stage {
                part,
                interface: part.info().interface(function),
                head: document.head(part)?,
                evaluator: Evaluator::new(&part.program, options.evaluator),
            })
        });
        let stages = stages.collect::<Result<Vec<_>, Error>>()?;
        if !is_pipeline && !stages.iter().any(|s| s.part.program.functions().any(|(_, f)| *f.name == *name)) {
            return Err(Error::Interface(format!("the model has no function {name}")));
        }
        Ok(Runner { stages, interface: info.interface(function), is_pipeline, function: name })
    }

    /// What the model takes and gives.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Makes all states zero again.
    pub fn reset(&mut self) {
        self.stages.iter_mut().for_each(|s| s.evaluator.reset());
    }

    /// The content of the states, by name.
    pub fn states(&self) -> Features {
        let states = self.stages.iter().flat_map(|s| s.evaluator.states());
        states.map(|(n, s)| (n.to_owned(), Value::Tensor(s.get()))).collect()
    }

    /// One prediction: the outputs by name.
    ///
    /// # Errors
    /// Where an input is missing, is none of the model's, or does not fit, and where an op cannot be computed.
    pub fn predict(&mut self, inputs: &Features) -> Result<Features, Error> {
        self.watch(inputs, &mut Nobody)
    }

    /// As [`Runner::predict`], with someone watching.
    ///
    /// # Errors
    /// As [`Runner::predict`], and those of the observers.
    pub fn watch(&mut self, inputs: &Features, watch: &mut dyn Watch) -> Result<Features, Error> {
        let known =
            |n: &String| self.interface.inputs.iter().chain(&self.interface.states).any(|f| f.name == *n);
        if let Some(name) = inputs.keys().find(|n| !known(n)) {
            let names: Vec<&str> = self.interface.inputs.iter().map(|f| f.name.as_str()).collect();
            return Err(Error::Interface(format!("{name} is no input of the model, which takes {names:?}")));
        }
        let mut features = inputs.clone();
        for stage in &mut self.stages {
            let missing = stage
                .interface
                .inputs
                .iter()
                .find(|f| !features.contains_key(&f.name) && !f.is_optional && default(f).is_none());
            if let Some(f) = missing {
                return Err(Error::Interface(match self.is_pipeline {
                    true => format!(
                        "{}: no model before it in the pipeline that can be run gives {}",
                        stage.part.path, f.name
                    ),
                    false => format!("the input {} is missing", f.name),
                }));
            }
            let out = stage.predict(&self.function, self.is_pipeline, &features, watch)?;
            features.extend(out);
        }
        let outputs = self.interface.outputs.iter().map(|f| match features.remove(&f.name) {
            Some(v) => Ok((f.name.clone(), v)),
            None => Err(Error::Interface(format!("no part of the model that can be run gives {}", f.name))),
        });
        outputs.collect()
    }
}

impl Stage<'_> {
    fn predict(
        &mut self,
        function: &str,
        is_pipeline: bool,
        features: &Features,
        watch: &mut dyn Watch,
    ) -> Result<Features, Error> {
        let place = if self.part.path.is_empty() { String::new() } else { format!("{}: ", self.part.path) };
        let fail = |e: EvalError| Error::Run { part: place.clone(), source: e.into() };
        let p = &self.part.program;
        let function = if is_pipeline { self.part.info().default_function() } else { function };
        let body = p.functions().find(|(_, f)| &*f.name == function).map(|(_, f)| f.body);
        let body = body.ok_or_else(|| Error::Interface(format!("{place}there is no function {function}")))?;
        let mut raw: Vec<(Str, Value)> = Vec::new();
        let mut inputs: Vec<(Str, Value)> = Vec::new();
        for &arg in &p.block(body).args {
            let v = p.value(arg);
            let described = self.interface.inputs.iter().find(|f| *f.name == *v.name);
            let given = match (features.get(&*v.name), described) {
                (Some(given), _) => given.clone(),
                (None, Some(f)) if !matches!(v.ty, Type::State(_)) => match default(f) {
                    Some(d) => Value::Tensor(d),
                    None => continue,
                },
                _ => continue,
            };
            raw.push((v.name.clone(), given.clone()));
            let given = match (given, described) {
                (Value::Tensor(a), Some(f)) => Value::Tensor(
                    enter(a, f, self.head.as_ref(), &self.interface)
                        .and_then(|a| of_rank(a, f, &v.ty))
                        .map_err(|why| Error::Interface(format!("{place}input {}: {why}", f.name)))?,
                ),
                (given, _) => given,
            };
            inputs.push((v.name.clone(), given));
        }
        watch.given(self.part, function, &raw);
        watch.enter(self.part, function, &inputs);
        let out = self.evaluator.watch(function, inputs, watch.part(self.part)).map_err(fail)?;
        let is_network = p.dialect == DialectId::Nn;
        let mapping = if is_network { Mapping::of(p) } else { Mapping::Exact };
        let mut all = BTreeMap::new();
        let mut probabilities = None;
        for (name, value) in out.values {
            let described = self.interface.outputs.iter().find(|f| *f.name == *name);
            if let Some(head) = &self.head
                && head.labels.is_some()
                && (*name == *head.probabilities || head.probabilities.is_empty())
            {
                probabilities = Some(value.clone());
            }
            let value = match value {
                Value::Tensor(a) if is_network => Value::Tensor(leave(a, described, mapping).map_err(fail)?),
                other => other,
            };
            all.insert(name.to_string(), value);
        }
        if let (Some(Value::Tensor(p)), Some(labels)) =
            (&probabilities, self.head.as_ref().and_then(|h| h.labels.as_ref()))
        {
            let (label, dict) =
                classes(p, labels).map_err(|why| Error::Interface(format!("{place}{why}")))?;
            let i = &self.interface;
            for (name, value) in [(&i.predicted_label, label), (&i.probabilities, dict)] {
                if !name.is_empty() {
                    all.insert(name.clone(), value);
                }
            }
        }
        Ok(all)
    }
}

/// What stands for an input that is left out.
fn default(f: &Feature) -> Option<Array> {
    match &f.kind {
        FeatureKind::Array { dtype, shape, default: Some(x), .. } => {
            let dims: Option<Vec<u64>> = shape.iter().map(|&n| u64::try_from(n).ok()).collect();
            let dims = dims?;
            let n = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| n <= 1 << 32)?;
            Array::new(dtype.unwrap_or(DType::F32), dims, vec![*x; n as usize]).ok()
        }
        _ => None,
    }
}

/// An input as the network takes it.
pub(crate) fn enter(
    a: Array,
    f: &Feature,
    head: Option<&NetworkHead>,
    i: &Interface,
) -> Result<Array, String> {
    let FeatureKind::Image { color, .. } = &f.kind else { return Ok(a) };
    let pixels = pixels(a, *color)?;
    let Some(head) = head else { return Ok(pixels) };
    let images = || i.inputs.iter().filter(|f| matches!(f.kind, FeatureKind::Image { .. }));
    let ours = |p: &&Preprocessing| p.input == f.name || (p.input.is_empty() && images().count() == 1);
    head.preprocessing.iter().filter(ours).try_fold(pixels, |a, p| prepare(a, &p.step, *color))
}

/// An image with the axis of its sequence where the program has one.
pub(crate) fn of_rank(a: Array, f: &Feature, ty: &Type) -> Result<Array, String> {
    let rank = ty.tensor().and_then(|t| t.rank());
    match (&f.kind, a.dims(), rank) {
        (FeatureKind::Image { .. }, &[n, c, h, w], Some(5)) => {
            a.reshaped([1, n, c, h, w]).map_err(|e| e.to_string())
        }
        _ => Ok(a),
    }
}

/// The pixels of an image as `[1, C, H, W]`; other arrays as they are.
pub(crate) fn pixels(a: Array, color: Color) -> Result<Array, String> {
    let fail = |e: EvalError| e.to_string();
    let channels = color.channels().unwrap_or(3);
    let (dims, channels) = match (a.dims(), a.dtype().is_int()) {
        ([h, w, c] | [1, h, w, c], true) if *c == channels => ([*h, *w], *c),
        ([h, w], true) if channels == 1 => ([*h, *w], 1),
        _ => return Ok(a),
    };
    let items = a.to_f64s().map_err(fail)?;
    let plane = items.len() / channels as usize;
    let mut out = vec![0f32; items.len()];
    for (at, x) in items.into_iter().enumerate() {
        let (pixel, c) = (at / channels as usize, at % channels as usize);
        // the file has red first
        let c = if color == Color::Bgr { channels as usize - 1 - c } else { c };
        out[c * plane + pixel] = x as f32;
    }
    Array::new(DType::F32, [1, channels, dims[0], dims[1]], out).map_err(fail)
}

/// What a NeuralNetwork does to an image before its first layer.
fn prepare(a: Array, step: &PreprocessingStep, color: Color) -> Result<Array, String> {
    let fail = |e: EvalError| e.to_string();
    let mut items = a.to_f64s().map_err(fail)?;
    let channels = color.channels().unwrap_or(3) as usize;
    let plane = (items.len() / channels).max(1);
    match step {
        PreprocessingStep::Scale { scale, rgb, gray } => {
            let bias = match color {
                Color::Gray => [*gray; 3],
                Color::Bgr => [rgb[2], rgb[1], rgb[0]],
                Color::Rgb | Color::Unknown => *rgb,
            };
            for (at, x) in items.iter_mut().enumerate() {
                *x = *x * f64::from(*scale) + f64::from(bias[at / plane % channels]);
            }
        }
        PreprocessingStep::Mean(mean) => {
            let mean = mean.to_f64s().map_err(|e| e.to_string())?;
            if mean.len() != items.len() {
                return Err(format!(
                    "a mean image of {} values for {} of the image",
                    mean.len(),
                    items.len()
                ));
            }
            items.iter_mut().zip(mean).for_each(|(x, m)| *x -= m);
        }
    }
    Array::new(DType::F32, a.dims().iter().copied(), items).map_err(fail)
}

/// An output of a NeuralNetwork in the shape of its description; without one, five dims of a single sequence and
/// batch become `[C]` or `[C, H, W]` where all arrays have five.
fn leave(a: Array, f: Option<&Feature>, mapping: Mapping) -> Result<Array, EvalError> {
    if let Some(FeatureKind::Array { shape, .. }) = f.map(|f| &f.kind) {
        let dims: Option<Vec<u64>> =
            shape.iter().map(|&n| u64::try_from(n).ok().filter(|&n| n > 0)).collect();
        if let Some(dims) = dims.filter(|d| !d.is_empty() && d.iter().product::<u64>() == a.len() as u64) {
            return a.reshaped(dims);
        }
    }
    match a.dims() {
        _ if mapping == Mapping::Exact => Ok(a),
        [1, 1, c, 1, 1] => a.reshaped([*c]),
        [1, 1, c, h, w] => a.reshaped([*c, *h, *w]),
        _ => Ok(a),
    }
}

/// The label of the greatest probability, the first where several are, and the probability of each.
fn classes(probabilities: &Array, labels: &Labels) -> Result<(Value, Value), String> {
    let fail = |e: EvalError| e.to_string();
    let values = probabilities.to_f64s().map_err(fail)?;
    let n = values.len();
    let mut best = 0;
    for (i, x) in values.iter().enumerate() {
        if *x > values[best] {
            best = i;
        }
    }
    let len = match labels {
        Labels::Text(l) => l.len(),
        Labels::Int(l) => l.len(),
    };
    if len != n || n == 0 {
        return Err(format!("{len} labels for {n} probabilities"));
    }
    let (label, keys) = match labels {
        Labels::Text(l) => {
            let l: Vec<Arc<str>> = l.iter().map(|s| Arc::from(s.as_str())).collect();
            (Array::texts([], vec![l[best].clone()]), Array::texts([n as u64], l))
        }
        Labels::Int(l) => {
            (Array::new(DType::I64, [], vec![l[best]]), Array::new(DType::I64, [n as u64], l.clone()))
        }
    };
    let values = Array::new(DType::F64, [n as u64], values).map_err(fail)?;
    Ok((Value::Tensor(label.map_err(fail)?), Value::Dict(Dict { keys: keys.map_err(fail)?, values })))
}

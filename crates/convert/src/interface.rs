//! What a model takes and gives, in plain data: features with their shapes, and what surrounds a network.

use anewrite_tensor::{DType, Tensor};
use coreml_proto::spec::array_feature_type::{ArrayDataType, DefaultOptionalValue, ShapeFlexibility};
use coreml_proto::spec::feature_type::Type as FeatureOneof;
use coreml_proto::spec::image_feature_type::{ColorSpace, SizeFlexibility};
use coreml_proto::spec::neural_network_preprocessing::Preprocessor;
use coreml_proto::spec::state_feature_type::Type as StateOneof;
use coreml_proto::spec::{
    ArrayFeatureType, FeatureDescription, ImageFeatureType, Int64Vector, NeuralNetworkPreprocessing,
    SizeRange, StringVector,
};
use coreml_proto::wire::Value;
use prost::Message;

use crate::document::{Document, ModelInfo, Part, PartSource};
use crate::error::{At, ImportError, Problem, Read};
use crate::read::{each_field, text};

/// The inputs and outputs of a function of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// What it takes.
    pub inputs: Vec<Feature>,
    /// What it gives.
    pub outputs: Vec<Feature>,
    /// What it keeps between predictions.
    pub states: Vec<Feature>,
    /// The output with the predicted label; empty where there is none.
    pub predicted_label: String,
    /// The output with each label's probability; empty where there is none.
    pub probabilities: String,
}

/// One input, output or state.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FeatureKind,
    /// Whether an application may leave it out.
    pub is_optional: bool,
}

/// What a feature is.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// An array.
    Array {
        /// Its element type; `None` where it is not stated.
        dtype: Option<DType>,
        /// Its extents as they are described; empty where they are not.
        shape: Vec<i64>,
        /// Other extents that are allowed.
        flexible: Flexible,
        /// The value of every element where the input is left out.
        default: Option<f64>,
    },
    /// An image.
    Image {
        /// The order of its channels.
        color: Color,
        /// Height and width as they are described.
        size: [i64; 2],
        /// Other heights and widths that are allowed.
        flexible: Flexible,
    },
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Text.
    Text,
    /// Numbers by text or by whole number.
    Dictionary,
    /// A sequence of numbers or texts.
    Sequence,
    /// Not stated, or newer than this build.
    Unknown,
}

/// Which extents an input may have beside the described ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Flexible {
    /// None.
    #[default]
    No,
    /// These, the first by default.
    OneOf(Vec<Vec<u64>>),
    /// Each axis between two bounds; no upper bound where there is `None`.
    Range(Vec<(u64, Option<u64>)>),
}

/// How the channels of an image are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// One channel.
    Gray,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Not stated.
    Unknown,
}

impl Color {
    /// Number of channels.
    pub fn channels(self) -> Option<u64> {
        match self {
            Color::Gray => Some(1),
            Color::Rgb | Color::Bgr => Some(3),
            Color::Unknown => None,
        }
    }
}

impl ModelInfo {
    /// The interface of a function; of the default one for `None`.
    pub fn interface(&self, function: Option<&str>) -> Interface {
        let d = self.description();
        let named = match function {
            Some(name) => d.functions.iter().find(|f| f.name == name),
            None => d.functions.iter().find(|f| f.name == d.default_function_name),
        };
        match named {
            Some(f) => Interface {
                inputs: features(&f.input),
                outputs: features(&f.output),
                states: features(&f.state),
                predicted_label: f.predicted_feature_name.clone(),
                probabilities: f.predicted_probabilities_name.clone(),
            },
            None => Interface {
                inputs: features(&d.input),
                outputs: features(&d.output),
                states: features(&d.state),
                predicted_label: d.predicted_feature_name.clone(),
                probabilities: d.predicted_probabilities_name.clone(),
            },
        }
    }

    /// The function that runs where none is named: `main`, or what a model with several says.
    pub fn default_function(&self) -> &str {
        match self.description().default_function_name.as_str() {
            "" => "main",
            name => name,
        }
    }
}

fn features(list: &[FeatureDescription]) -> Vec<Feature> {
    list.iter().map(feature).collect()
}

fn feature(f: &FeatureDescription) -> Feature {
    let (kind, is_optional) = match &f.r#type {
        None => (FeatureKind::Unknown, false),
        Some(t) => (t.r#type.as_ref().map_or(FeatureKind::Unknown, kind), t.is_optional),
    };
    Feature { name: f.name.clone(), kind, is_optional }
}

fn kind(t: &FeatureOneof) -> FeatureKind {
    match t {
        FeatureOneof::MultiArrayType(a) => array(a),
        FeatureOneof::StateType(s) => match &s.r#type {
            Some(StateOneof::ArrayType(a)) => array(a),
            None => FeatureKind::Unknown,
        },
        FeatureOneof::ImageType(i) => image(i),
        FeatureOneof::Int64Type(_) => FeatureKind::Int,
        FeatureOneof::DoubleType(_) => FeatureKind::Double,
        FeatureOneof::StringType(_) => FeatureKind::Text,
        FeatureOneof::DictionaryType(_) => FeatureKind::Dictionary,
        FeatureOneof::SequenceType(_) => FeatureKind::Sequence,
    }
}

fn array(a: &ArrayFeatureType) -> FeatureKind {
    let dtype = match a.data_type() {
        ArrayDataType::Float32 => Some(DType::F32),
        ArrayDataType::Double => Some(DType::F64),
        ArrayDataType::Int32 => Some(DType::I32),
        ArrayDataType::Int8 => Some(DType::I8),
        ArrayDataType::Float16 => Some(DType::F16),
        ArrayDataType::InvalidArrayDataType => None,
    };
    let flexible = match &a.shape_flexibility {
        None => Flexible::No,
        Some(ShapeFlexibility::EnumeratedShapes(e)) => Flexible::OneOf(
            e.shapes
                .iter()
                .map(|s| s.shape.iter().map(|&n| u64::try_from(n).unwrap_or(0)).collect())
                .collect(),
        ),
        Some(ShapeFlexibility::ShapeRange(r)) => Flexible::Range(r.size_ranges.iter().map(range).collect()),
    };
    let default = a.default_optional_value.as_ref().map(|d| match d {
        DefaultOptionalValue::IntDefaultValue(n) => f64::from(*n),
        DefaultOptionalValue::FloatDefaultValue(x) => f64::from(*x),
        DefaultOptionalValue::DoubleDefaultValue(x) => *x,
    });
    FeatureKind::Array { dtype, shape: a.shape.clone(), flexible, default }
}

fn image(i: &ImageFeatureType) -> FeatureKind {
    let color = match i.color_space() {
        ColorSpace::Grayscale | ColorSpace::GrayscaleFloat16 => Color::Gray,
        ColorSpace::Rgb => Color::Rgb,
        ColorSpace::Bgr => Color::Bgr,
        ColorSpace::InvalidColorSpace => Color::Unknown,
    };
    let any = (1, None);
    let flexible = match &i.size_flexibility {
        None => Flexible::No,
        Some(SizeFlexibility::EnumeratedSizes(e)) => {
            Flexible::OneOf(e.sizes.iter().map(|s| vec![s.height, s.width]).collect())
        }
        Some(SizeFlexibility::ImageSizeRange(r)) => Flexible::Range(vec![
            r.height_range.as_ref().map_or(any, range),
            r.width_range.as_ref().map_or(any, range),
        ]),
    };
    FeatureKind::Image { color, size: [i.height, i.width], flexible }
}

fn range(r: &SizeRange) -> (u64, Option<u64>) {
    (r.lower_bound, u64::try_from(r.upper_bound).ok())
}

/// What surrounds the layers of a NeuralNetwork.
#[derive(Clone, Debug, Default)]
pub struct NetworkHead {
    /// What happens to images before the first layer, in order.
    pub preprocessing: Vec<Preprocessing>,
    /// The labels of a classifier.
    pub labels: Option<Labels>,
    /// The blob with the probabilities of a classifier; empty where it is the last layer's.
    pub probabilities: String,
}

/// A change to one image.
#[derive(Clone, Debug)]
pub struct Preprocessing {
    /// The input; empty where it is the only image.
    pub input: String,
    /// What is done to it.
    pub step: PreprocessingStep,
}

/// What is done to an image.
#[derive(Clone, Debug)]
pub enum PreprocessingStep {
    /// `scale · pixel + bias`.
    Scale {
        /// The factor of every channel.
        scale: f32,
        /// What is added to red, green and blue.
        rgb: [f32; 3],
        /// What is added to a gray channel.
        gray: f32,
    },
    /// A mean image of `[C, H, W]`, flat, is taken off.
    Mean(Tensor),
}

/// Labels of classes, in the order of the probabilities.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Texts.
    Text(Vec<String>),
    /// Whole numbers.
    Int(Vec<i64>),
}

impl Document {
    /// What surrounds the layers of a part that is a NeuralNetwork; `None` for an ML Program.
    ///
    /// # Errors
    /// Where the messages cannot be decoded.
    pub fn head(&self, part: &Part) -> Result<Option<NetworkHead>, ImportError> {
        let PartSource::Network(network) = &*part.source else { return Ok(None) };
        let Some(content) = network.content() else { return Ok(None) };
        let read = self.read_head(content, part.info.kind == "neuralNetworkClassifier");
        read.map(Some).map_err(|fault| ImportError::new("(model)", fault))
    }

    fn read_head(&self, content: std::ops::Range<usize>, is_classifier: bool) -> Read<NetworkHead> {
        let spec = &self.spec;
        let mut head = NetworkHead::default();
        let bytes = |r: &std::ops::Range<usize>| spec.get(r.clone()).unwrap_or_default();
        each_field(spec, content, |number, value, _| {
            match (number, value) {
                (2, Value::Bytes(r)) => {
                    let p = NeuralNetworkPreprocessing::decode(bytes(r)).map_err(Problem::from)?;
                    head.preprocessing.extend(preprocessing(p).at(|| "preprocessing".into())?);
                }
                (100, Value::Bytes(r)) if is_classifier => {
                    let v = StringVector::decode(bytes(r)).map_err(Problem::from)?;
                    head.labels = Some(Labels::Text(v.vector));
                }
                (101, Value::Bytes(r)) if is_classifier => {
                    let v = Int64Vector::decode(bytes(r)).map_err(Problem::from)?;
                    head.labels = Some(Labels::Int(v.vector));
                }
                (200, Value::Bytes(r)) if is_classifier => {
                    head.probabilities = text(spec, r.clone())?.to_owned();
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(head)
    }
}

fn preprocessing(p: NeuralNetworkPreprocessing) -> Read<Option<Preprocessing>> {
    let step = match p.preprocessor {
        None => return Ok(None),
        Some(Preprocessor::Scaler(s)) => PreprocessingStep::Scale {
            scale: s.channel_scale,
            rgb: [s.red_bias, s.green_bias, s.blue_bias],
            gray: s.gray_bias,
        },
        Some(Preprocessor::MeanImage(m)) => {
            let bytes: Vec<u8> = m.mean_image.iter().flat_map(|x| x.to_le_bytes()).collect();
            let mean = Tensor::new(DType::F32, [m.mean_image.len() as u64], bytes);
            PreprocessingStep::Mean(mean.map_err(Problem::from)?)
        }
    };
    Ok(Some(Preprocessing { input: p.feature_name, step }))
}

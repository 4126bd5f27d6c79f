//! Types of a network's inputs, from the description of the model and how the network maps it.

use anewrite_ir::{Dim, Shape, TensorType, Type};
use anewrite_tensor::DType;
use coreml_proto::spec::array_feature_type::ShapeFlexibility;
use coreml_proto::spec::feature_type::Type as Feature;
use coreml_proto::spec::image_feature_type::{ColorSpace, SizeFlexibility};
use coreml_proto::spec::{ArrayFeatureType, FeatureType, ImageFeatureType, SizeRange};

/// How a network sees its inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Arrays have the shape that is described; otherwise five dims, `[Seq, B, C, H, W]`.
    pub(super) exact_arrays: bool,
    /// Images are `[B, C, H, W]`; otherwise five dims.
    pub(super) rank4_images: bool,
}

/// The type of an input. Networks compute with floats, whatever the interface takes.
///
/// Under the mapping to five dims an array may come with more than one sequence step or batch item than the
/// description says; the type is that of what is described, one of each.
pub(super) fn input_type(feature: Option<&FeatureType>, mapping: Mapping) -> Type {
    match feature.and_then(|f| f.r#type.as_ref()) {
        Some(Feature::MultiArrayType(array)) => array_type(array, mapping),
        Some(Feature::ImageType(image)) => image_type(image, mapping),
        _ => Type::Unknown,
    }
}

fn array_type(array: &ArrayFeatureType, mapping: Mapping) -> Type {
    let known = |dims: &[i64]| -> Shape { dims.iter().map(|&d| extent(d)).collect() };
    let shape = match &array.shape_flexibility {
        None => (!array.shape.is_empty()).then(|| known(&array.shape)),
        Some(ShapeFlexibility::EnumeratedShapes(e)) => {
            let mut shapes = e.shapes.iter().map(|s| known(&s.shape));
            let first = shapes.next();
            first.and_then(|first| shapes.try_fold(first, meet))
        }
        Some(ShapeFlexibility::ShapeRange(r)) => Some(r.size_ranges.iter().map(range).collect()),
    };
    let shape = if mapping.exact_arrays { shape } else { Some(five_dims(shape)) };
    TensorType { dtype: DType::F32, shape }.into()
}

/// What two shapes have in common; `None` where the ranks differ.
fn meet(a: Shape, b: Shape) -> Option<Shape> {
    let same = |(a, b)| if a == b { a } else { Dim::Unknown };
    (a.len() == b.len()).then(|| a.into_iter().zip(b).map(same).collect())
}

/// `[C]` is the channels and `[C, H, W]` what it says; the schema allows no other ranks here, but writers fill the last
/// dims of the five.
fn five_dims(shape: Option<Shape>) -> Shape {
    let mut five = Shape::from_elem(Dim::Known(1), 5);
    match shape.as_deref() {
        Some(&[c]) => five[2] = c,
        Some(dims @ ([_, _, _] | [_, _, _, _] | [_, _, _, _, _])) => {
            let from = 5 - dims.len();
            five[from..].copy_from_slice(dims);
        }
        _ => five[2..].fill(Dim::Unknown),
    }
    five
}

fn image_type(image: &ImageFeatureType, mapping: Mapping) -> Type {
    let channels = match image.color_space() {
        ColorSpace::Grayscale | ColorSpace::GrayscaleFloat16 => Dim::Known(1),
        ColorSpace::Rgb | ColorSpace::Bgr => Dim::Known(3),
        ColorSpace::InvalidColorSpace => Dim::Unknown,
    };
    let described = (extent(image.height), extent(image.width));
    let (height, width) = match &image.size_flexibility {
        None => described,
        Some(SizeFlexibility::EnumeratedSizes(e)) => {
            let dim = |n: u64| if n > 0 { Dim::Known(n) } else { Dim::Unknown };
            let sizes = e.sizes.iter().map(|s| (dim(s.height), dim(s.width)));
            let same = |a, b| if a == b { a } else { Dim::Unknown };
            sizes.reduce(|a, b| (same(a.0, b.0), same(a.1, b.1))).unwrap_or(described)
        }
        Some(SizeFlexibility::ImageSizeRange(r)) => {
            let dim = |s: &Option<SizeRange>| s.as_ref().map_or(Dim::Unknown, range);
            (dim(&r.height_range), dim(&r.width_range))
        }
    };
    let one = Dim::Known(1);
    let shape: Shape = if mapping.rank4_images {
        [one, channels, height, width].into_iter().collect()
    } else {
        [one, one, channels, height, width].into_iter().collect()
    };
    TensorType { dtype: DType::F32, shape: Some(shape) }.into()
}

/// Zero and negative extents say that any will do.
fn extent(n: i64) -> Dim {
    match u64::try_from(n) {
        Ok(n) if n > 0 => Dim::Known(n),
        _ => Dim::Unknown,
    }
}

fn range(r: &SizeRange) -> Dim {
    match i64::try_from(r.lower_bound) {
        Ok(lower) if lower == r.upper_bound => extent(lower),
        _ => Dim::Unknown,
    }
}

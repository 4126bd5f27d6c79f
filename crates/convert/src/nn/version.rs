//! The specification version that a network needs: what a rewrite made of it may run on older systems.
//!
//! Which version brought what is told by the comments of the format's schema and by coremltools' own downgrade.

use anewrite_ir::{Attr, Op, Program};
use anewrite_tensor::DType;
use coreml_proto::rope::Rope;
use coreml_proto::spec::array_feature_type::ArrayDataType;
use coreml_proto::spec::feature_type::Type as Feature;
use coreml_proto::spec::image_feature_type::ColorSpace;
use coreml_proto::spec::{ArrayFeatureType, FeatureDescription};
use coreml_proto::wire::Value;

use crate::document::{ModelInfo, Part};
use crate::export::{ExportProblem, Sheet};
use crate::read::each_field;

/// Field number of the version in a model.
const VERSION: u32 = 1;

/// States the version that the network of a plain model needs, where it needed a higher one when it was read. A model that
/// states more than it needs keeps that.
pub(super) fn sink(sheet: &mut Sheet<'_>, part: &Part, before: Option<i32>) -> Result<(), ExportProblem> {
    let Some(before) = before else { return Ok(()) };
    let stated = part.info().spec_version;
    let needed = needed(part.info(), &part.program).filter(|&n| n < before && n < stated);
    let Some(needed) = needed else { return Ok(()) };
    let mut fields = Vec::new();
    each_field(sheet.spec, 0..sheet.spec.len(), |number, value, span| {
        if let (VERSION, Value::Varint(_)) = (number, value) {
            fields.push(span);
        }
        Ok(true)
    })?;
    if let [field] = fields.as_slice() {
        let mut version = Rope::new();
        version.push_varint_field(VERSION, needed as u64);
        sheet.replace(field.clone(), version);
    }
    Ok(())
}

/// The lowest version that has everything in the model; `None` where something in it is not understood.
pub(super) fn needed(info: &ModelInfo, p: &Program) -> Option<i32> {
    let d = info.description();
    if info.is_updatable || !d.training_input.is_empty() || !d.state.is_empty() || !d.functions.is_empty() {
        return None;
    }
    let mut needed = 1;
    for f in d.input.iter().chain(&d.output) {
        needed = needed.max(of_feature(f)?);
    }
    needed = needed.max(of_mappings(p)?);
    for op in p.all_ops() {
        let o = p.op(op);
        if o.sealed {
            return None;
        }
        needed = needed.max(of_layer(o)?).max(of_weights(p, o)?);
    }
    Some(needed)
}

fn of_feature(f: &FeatureDescription) -> Option<i32> {
    let ty = f.r#type.as_ref()?;
    Some(match ty.r#type.as_ref()? {
        Feature::MultiArrayType(a) => of_array(a),
        Feature::ImageType(i) => match (i.color_space(), &i.size_flexibility) {
            (ColorSpace::GrayscaleFloat16, _) => 7,
            (_, Some(_)) => 3,
            (_, None) => 1,
        },
        Feature::Int64Type(_)
        | Feature::DoubleType(_)
        | Feature::StringType(_)
        | Feature::DictionaryType(_) => 1,
        _ => return None,
    })
}

fn of_array(a: &ArrayFeatureType) -> i32 {
    let by_type = if a.data_type() == ArrayDataType::Float16 { 7 } else { 1 };
    let by_default = if a.default_optional_value.is_some() { 5 } else { 1 };
    let by_rank = if matches!(a.shape.len(), 0 | 1 | 3) { 1 } else { 4 };
    let by_shape = if a.shape_flexibility.is_some() { 3 } else { 1 };
    [by_default, by_rank, by_shape].into_iter().fold(by_type, i32::max)
}

/// Arrays and images of their own rank came with version 4.
fn of_mappings(p: &Program) -> Option<i32> {
    let mut needed = 1;
    for (name, attr) in &p.attrs {
        if name.ends_with("InputShapeMapping") {
            let older = attr.as_str()?.starts_with("RANK5_");
            needed = if older { needed } else { 4 };
        }
    }
    Some(needed)
}

fn of_layer(o: &Op) -> Option<i32> {
    let kind = o.kind.strip_prefix(anewrite_nn::PREFIX)?;
    let since = anewrite_nn::layer(kind)?.since;
    let text = |name: &str| o.attr(name).and_then(Attr::as_str);
    let flag = |name: &str| o.attr(name).and_then(Attr::as_bool) == Some(true);
    let has_list = |name: &str| matches!(o.attr(name), Some(Attr::List(l)) if !l.is_empty());
    // parameters that came later than their layer
    let later = match kind {
        "upsample" => {
            has_list("fractionalScalingFactor") || text("linearUpsampleMode").is_some_and(|m| m != "DEFAULT")
        }
        "reorganizeData" => text("mode") == Some("PIXEL_SHUFFLE"),
        "innerProduct" | "batchedMatmul" => flag("int8DynamicQuantize"),
        "concatND" => flag("interleave"),
        "sliceDynamic" => has_list("squeezeMasks") || o.args(super::INPUT).count() > 6,
        _ => false,
    };
    Some(if later { since.max(5) } else { since })
}

fn of_weights(p: &Program, o: &Op) -> Option<i32> {
    let mut needed = 1;
    for x in &o.operands {
        let Some(c) = p.constant(x.value) else { continue };
        if c.sealed {
            return None;
        }
        needed = needed.max(match c.tensor.dtype() {
            DType::F32 => 1,
            DType::F16 => 2,
            DType::U8 => 3,
            _ => 5,
        });
    }
    Some(needed)
}

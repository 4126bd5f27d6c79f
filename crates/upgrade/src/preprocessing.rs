//! What a network does to an image before its first layer, as ops.

use anewrite_convert::{Preprocessing, PreprocessingStep};
use anewrite_ir::{BuildError, Builder, ValueId};
use anewrite_tensor::{DType, Tensor};
use coreml_proto::spec::image_feature_type::ColorSpace;

use crate::description::{Draft, Input, dims};

/// The steps that are for an input: those that name it, and those that name none where it is the only image.
fn steps<'d>(draft: &'d Draft, input: &Input) -> impl Iterator<Item = &'d PreprocessingStep> {
    let images = draft.inputs.iter().filter(|i| i.color.is_some()).count();
    let (old, only) = (input.old.clone(), images == 1);
    let ours = move |p: &&Preprocessing| p.input == old || (p.input.is_empty() && only);
    draft.head.preprocessing.iter().filter(ours).map(|p| &p.step)
}

/// The image `[1, C, H, W]` as the network's first layer sees it.
pub(crate) fn prepare(
    b: &mut Builder<'_>,
    image: ValueId,
    draft: &Draft,
    input: &Input,
    float: DType,
) -> Result<ValueId, String> {
    let Some(color) = input.color else { return Ok(image) };
    let mut v = image;
    for step in steps(draft, input) {
        if b.tensor(v).map_err(text)?.dtype != float {
            let dtype = b.constant(Tensor::string(float.name()));
            v = b.op("cast", &[("x", v), ("dtype", dtype)]).map_err(text)?;
        }
        v = apply(b, v, step, color, float)?;
    }
    Ok(v)
}

fn apply(
    b: &mut Builder<'_>,
    v: ValueId,
    step: &PreprocessingStep,
    color: ColorSpace,
    float: DType,
) -> Result<ValueId, String> {
    let mut op = |kind: &str, dims: &[u64], numbers: &[f64], v: ValueId| -> Result<ValueId, String> {
        let t = Tensor::from_f64s(float, dims, numbers).map_err(|e| e.to_string())?;
        let y = b.constant(t);
        b.op(kind, &[("x", v), ("y", y)]).map_err(text)
    };
    match step {
        PreprocessingStep::Scale { scale, rgb, gray } => {
            let [red, green, blue] = rgb.map(f64::from);
            let bias = match color {
                ColorSpace::Grayscale | ColorSpace::GrayscaleFloat16 => vec![f64::from(*gray)],
                ColorSpace::Bgr => vec![blue, green, red],
                _ => vec![red, green, blue],
            };
            let mut v = v;
            if *scale != 1.0 {
                v = op("mul", &[], &[f64::from(*scale)], v)?;
            }
            if bias.iter().any(|&x| x != 0.0) {
                v = op("add", &[1, bias.len() as u64, 1, 1], &bias, v)?;
            }
            Ok(v)
        }
        PreprocessingStep::Mean(mean) => {
            let ty = b.ty(v).clone();
            let have: Option<Vec<u64>> = dims(&ty).and_then(|d| d.iter().map(|d| d.known()).collect());
            let have = have.filter(|d| d.iter().product::<u64>() == mean.count());
            let have = have
                .ok_or_else(|| format!("a mean image of {} numbers does not fit the image", mean.count()))?;
            let numbers = mean.to_f64s().map_err(|e| e.to_string())?;
            let t = Tensor::from_f64s(float, &have, &numbers).map_err(|e| e.to_string())?;
            let y = b.constant(t);
            b.op("sub", &[("x", v), ("y", y)]).map_err(text)
        }
    }
}

pub(crate) fn text(e: BuildError) -> String {
    e.to_string()
}

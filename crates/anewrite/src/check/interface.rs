//! What a model says of its inputs, as far as findings ask.

use anewrite_check::Interface;
use anewrite_convert::{Document, Feature, FeatureKind, Flexible, Part, Preprocessing, PreprocessingStep};

use crate::Error;

pub(super) fn of(document: &Document, part: &Part) -> Result<Interface, Error> {
    let head = document.head(part)?;
    let steps = head.map(|head| head.preprocessing).unwrap_or_default();
    let mut found = Interface::default();
    for (_, function) in part.program.functions() {
        for input in part.info().interface(Some(&function.name)).inputs {
            found.enumerated_shapes = found.enumerated_shapes.max(shapes(&input));
            if matches!(input.kind, FeatureKind::Image { .. })
                && let Some((low, high)) = pixels(&input.name, &steps)
            {
                found.images.push((input.name, low, high));
            }
        }
    }
    Ok(found)
}

/// The number of shapes that an input lists.
fn shapes(input: &Feature) -> u64 {
    match &input.kind {
        FeatureKind::Array { flexible: Flexible::OneOf(all), .. }
        | FeatureKind::Image { flexible: Flexible::OneOf(all), .. } => all.len() as u64,
        _ => 0,
    }
}

/// The least and largest element that an image gives the first layer; `None` where a mean image is taken off.
fn pixels(input: &str, steps: &[Preprocessing]) -> Option<(f64, f64)> {
    let (mut low, mut high) = (0.0_f64, 255.0_f64);
    for step in steps.iter().filter(|step| step.input.is_empty() || step.input == input) {
        let PreprocessingStep::Scale { scale, rgb, gray } = &step.step else { return None };
        let biases = || rgb.iter().chain([gray]).map(|b| f64::from(*b));
        let ends = [low * f64::from(*scale), high * f64::from(*scale)];
        low = ends[0].min(ends[1]) + biases().fold(f64::INFINITY, f64::min);
        high = ends[0].max(ends[1]) + biases().fold(f64::NEG_INFINITY, f64::max);
    }
    Some((low, high))
}

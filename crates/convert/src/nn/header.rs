//! What is around the layers of a network: mappings, preprocessing, and which blobs must be there at the end.

use anewrite_ir::{Attr, Attrs};
use bytes::Bytes;
use coreml_proto::message;
use coreml_proto::spec::feature_type::Type as Feature;
use coreml_proto::spec::{FeatureDescription, ModelDescription};
use coreml_proto::wire::Value;
use prost_reflect::MessageDescriptor;

use super::message::read;
use super::view::LayerView;
use crate::document::ModelInfo;
use crate::error::{At, Read};
use crate::read::{Depth, Span, each_field, once, text};

/// Which of the three kinds of networks a message is: they share their first fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkKind {
    /// `NeuralNetwork` and `NeuralNetworkRegressor`.
    Plain,
    /// `NeuralNetworkClassifier`, one of whose blobs holds probabilities.
    Classifier,
}

/// The fields around the layers.
#[derive(Default)]
pub(super) struct Header {
    pub(super) arrays: Option<u64>,
    pub(super) images: Option<u64>,
    preprocessing: Vec<Span>,
    probabilities: Option<Span>,
    /// Blobs that training reads.
    training: Vec<Span>,
    /// The layer that stands last.
    last: Option<Span>,
}

/// Reads the fields around the layers of the network at `range`.
pub(super) fn header(spec: &Bytes, range: Span, kind: NetworkKind) -> Read<Header> {
    let mut h = Header::default();
    let mut update = None;
    each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => {
            h.last = Some(r.clone());
            Ok(true)
        }
        (2, Value::Bytes(r)) => {
            h.preprocessing.push(r.clone());
            Ok(true)
        }
        (5, Value::Varint(n)) => once(&mut h.arrays, *n, "arrayInputShapeMapping"),
        (6, Value::Varint(n)) => once(&mut h.images, *n, "imageInputShapeMapping"),
        (10, Value::Bytes(r)) => once(&mut update, r.clone(), "updateParams"),
        (200, Value::Bytes(r)) if kind == NetworkKind::Classifier => {
            once(&mut h.probabilities, r.clone(), "labelProbabilityLayerName")
        }
        _ => Ok(false),
    })?;
    if let Some(update) = update {
        // NetworkUpdateParameters, LossLayer, then either kind of loss, which both have the blob first.
        let mut losses = vec![update];
        for (first, last) in [(1, 1), (10, 11), (1, 1)] {
            let mut inside = Vec::new();
            for range in losses {
                each_field(spec, range, |number, value, _| {
                    if let Value::Bytes(r) = value
                        && (first..=last).contains(&number)
                    {
                        inside.push(r.clone());
                    }
                    Ok(true)
                })
                .at(|| "updateParams".into())?;
            }
            losses = inside;
        }
        h.training = losses;
    }
    Ok(h)
}

/// Names of the blobs that must be there at the end, and whether their absence is worth a note.
pub(super) fn outputs(
    spec: &Bytes,
    layer: &MessageDescriptor,
    header: &Header,
    info: &ModelInfo,
    kind: NetworkKind,
) -> Read<Vec<(String, bool)>> {
    let d = &info.description;
    let is_class = |name: &str| kind == NetworkKind::Classifier && is_class(d, name);
    let mut all: Vec<_> = d.output.iter().map(|f| (f.name.clone(), !is_class(&f.name))).collect();
    if kind == NetworkKind::Classifier {
        match &header.probabilities {
            Some(r) if !r.is_empty() => all.push((text(spec, r.clone())?.to_owned(), true)),
            _ => {
                // Without a name, the last layer gives the probabilities.
                let view = match &header.last {
                    Some(last) => LayerView::read(spec, layer, last.clone()).at(|| "layers".into())?,
                    None => LayerView::default(),
                };
                for (_, r) in view.outputs {
                    all.push((text(spec, r)?.to_owned(), false));
                }
            }
        }
    }
    for r in &header.training {
        all.push((text(spec, r.clone()).at(|| "updateParams".into())?.to_owned(), true));
    }
    Ok(all)
}

/// Whether nobody sees the shapes of the outputs: all are images, or the label and the probabilities of a classifier.
pub(super) fn shows_no_shape(info: &ModelInfo, header: &Header, kind: NetworkKind) -> bool {
    let d = &info.description;
    let unseen = |f: &FeatureDescription| {
        let is_image = f.r#type.as_ref().is_some_and(|t| matches!(t.r#type, Some(Feature::ImageType(_))));
        is_image || (kind == NetworkKind::Classifier && is_class(d, &f.name))
    };
    header.training.is_empty() && !d.output.is_empty() && d.output.iter().all(unseen)
}

fn is_class(d: &ModelDescription, name: &str) -> bool {
    name == d.predicted_feature_name || name == d.predicted_probabilities_name
}

/// What is around the layers, for lowerings and the text form.
pub(super) fn attributes(spec: &Bytes, header: &Header, depth: Depth) -> Read<Attrs> {
    let mut attrs = Attrs::new();
    let mappings = [
        ("arrayInputShapeMapping", "CoreML.Specification.NeuralNetworkMultiArrayShapeMapping", header.arrays),
        ("imageInputShapeMapping", "CoreML.Specification.NeuralNetworkImageShapeMapping", header.images),
    ];
    for (field, name, value) in mappings {
        let value = value.unwrap_or(0) as i32;
        let of = coreml_proto::pool().get_enum_by_name(name);
        let attr = of.and_then(|e| e.get_value(value)).map(|v| Attr::Enum(v.name().into()));
        attrs.push((field.into(), attr.unwrap_or(Attr::Int(i64::from(value)))));
    }
    if let Some(message) = message("CoreML.Specification.NeuralNetworkPreprocessing") {
        let mut all = Vec::new();
        for (i, r) in header.preprocessing.iter().enumerate() {
            let read = read(spec, &message, r.clone(), depth).at(|| format!("preprocessing[{i}]"))?;
            let mut fields = read.fields;
            for (name, attr) in &mut fields {
                // A mean image is as large as the input; who needs it reads the file.
                if &**name == "meanImage" {
                    *attr = Attr::Message(Vec::new());
                }
            }
            all.push(Attr::Message(fields));
        }
        if !all.is_empty() {
            attrs.push(("preprocessing".into(), Attr::List(all)));
        }
    }
    Ok(attrs)
}

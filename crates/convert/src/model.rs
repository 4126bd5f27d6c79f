//! Reading the outermost message: which model it is, and the models inside a pipeline.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use coreml_package::Source;
use coreml_proto::spec::ModelDescription;
use coreml_proto::wire::Value;
use prost::Message;

use crate::document::{Document, ModelInfo, Part, PartSource};
use crate::error::{At, ImportError, Problem, Read};
use crate::mil;
use crate::mil::value::ValueReader;
use crate::nn::{self, NetworkKind};
use crate::note::Note;
use crate::read::{Depth, Span, each_field, once, text};
use crate::weights::{WeightSource, WeightUses};

/// Reads a model.
///
/// # Errors
/// The model is damaged, holds no network, or contradicts itself or its weight files: see [`Problem`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("empty.mlmodel");
/// std::fs::write(&path, b"\x08\x04")?; // a specification version, and nothing else
/// let source = coreml_package::open(&path)?;
/// let error = anewrite_convert::import(&source).unwrap_err();
/// assert!(matches!(error.problem(), anewrite_convert::Problem::NoModelType));
/// # Ok(())
/// # }
/// ```
pub fn import(source: &Source) -> Result<Document, ImportError> {
    match source.model() {
        Some(file) => import_spec(file.path(), file.bytes(), source),
        None => Err(ImportError::new(source.path(), Problem::Compiled.into())),
    }
}

/// Reads a model from the bytes of its specification; `file` is what errors call them.
///
/// # Errors
/// As [`import`].
pub fn import_spec(file: &Path, spec: &Bytes, weights: &dyn WeightSource) -> Result<Document, ImportError> {
    let mut models =
        Models { spec, weights, uses: WeightUses::default(), parts: Vec::new(), notes: Vec::new() };
    let info = models.outer().map_err(|fault| ImportError::new(file, fault))?;
    let Models { uses, parts, notes, .. } = models;
    Ok(Document { parts, spec: spec.clone(), info, notes, uses: Arc::new(uses) })
}

/// The members of `Model`'s oneof of types. The schema's descriptors say the same, but building them takes longer than
/// reading most programs.
const TYPES: &[(u32, &str)] = &[
    (200, "pipelineClassifier"),
    (201, "pipelineRegressor"),
    (202, "pipeline"),
    (300, "glmRegressor"),
    (301, "supportVectorRegressor"),
    (302, "treeEnsembleRegressor"),
    (303, "neuralNetworkRegressor"),
    (304, "bayesianProbitRegressor"),
    (400, "glmClassifier"),
    (401, "supportVectorClassifier"),
    (402, "treeEnsembleClassifier"),
    (403, "neuralNetworkClassifier"),
    (404, "kNearestNeighborsClassifier"),
    (500, "neuralNetwork"),
    (501, "itemSimilarityRecommender"),
    (502, "mlProgram"),
    (555, "customModel"),
    (556, "linkedModel"),
    (560, "classConfidenceThresholding"),
    (600, "oneHotEncoder"),
    (601, "imputer"),
    (602, "featureVectorizer"),
    (603, "dictVectorizer"),
    (604, "scaler"),
    (606, "categoricalMapping"),
    (607, "normalizer"),
    (609, "arrayFeatureExtractor"),
    (610, "nonMaximumSuppression"),
    (900, "identity"),
    (2000, "textClassifier"),
    (2001, "wordTagger"),
    (2002, "visionFeaturePrint"),
    (2003, "soundAnalysisPreprocessing"),
    (2004, "gazetteer"),
    (2005, "wordEmbedding"),
    (2006, "audioFeaturePrint"),
    (3000, "serializedModel"),
];

/// Numbers of the fields of `Model` that hold something to look into.
mod member {
    pub(super) const PIPELINE_CLASSIFIER: u32 = 200;
    pub(super) const PIPELINE_REGRESSOR: u32 = 201;
    pub(super) const PIPELINE: u32 = 202;
    pub(super) const REGRESSOR: u32 = 303;
    pub(super) const CLASSIFIER: u32 = 403;
    pub(super) const NETWORK: u32 = 500;
    pub(super) const ML_PROGRAM: u32 = 502;
}

struct Models<'a> {
    spec: &'a Bytes,
    weights: &'a dyn WeightSource,
    uses: WeightUses,
    parts: Vec<Part>,
    notes: Vec<Note>,
}

/// A `Model` message before its network is read.
struct Envelope {
    info: ModelInfo,
    number: u32,
    content: Span,
}

impl Models<'_> {
    fn outer(&mut self) -> Read<ModelInfo> {
        let envelope = self.envelope(0..self.spec.len())?;
        let info = envelope.info.clone();
        self.model(envelope, String::new(), String::new(), Depth::default())?;
        if self.parts.is_empty() {
            return Err(Problem::NoNetwork(info.kind).into());
        }
        Ok(info)
    }

    fn envelope(&self, range: Span) -> Read<Envelope> {
        let spec = self.spec;
        let (mut version, mut description, mut updatable, mut member) = (None, None, None, None);
        let is_type = |number| TYPES.iter().find(|(n, _)| *n == number).map(|(_, name)| (*name).to_owned());
        each_field(spec, range, |number, value, _| match (number, value) {
            (1, Value::Varint(n)) => once(&mut version, *n as i32, "specificationVersion"),
            (2, Value::Bytes(r)) => once(&mut description, r.clone(), "description"),
            (10, Value::Varint(n)) => once(&mut updatable, *n != 0, "isUpdatable"),
            (_, Value::Bytes(r)) => match is_type(number) {
                Some(kind) => once(&mut member, (number, r.clone(), kind), "Type"),
                None => Ok(false),
            },
            _ => Ok(false),
        })?;
        let (number, content, kind) = member.ok_or(Problem::NoModelType)?;
        let description = spec.get(description.unwrap_or(0..0)).unwrap_or_default();
        let description = ModelDescription::decode(description).map_err(Problem::from);
        let description = Arc::new(description.map_err(Into::into).at(|| "description".into())?);
        let (spec_version, is_updatable) = (version.unwrap_or(0), updatable.unwrap_or(false));
        let info = ModelInfo { kind, spec_version, is_updatable, description };
        Ok(Envelope { info, number, content })
    }

    fn model(&mut self, envelope: Envelope, path: String, name: String, depth: Depth) -> Read<()> {
        let Envelope { info, number, content } = envelope;
        let kind = info.kind.clone();
        let depth = depth.down(1)?;
        match number {
            member::ML_PROGRAM => {
                let reader = ValueReader::new(self.spec, self.weights, &mut self.uses);
                let read = mil::import(reader, content, depth, &mut self.notes);
                let (program, source) = read.at(|| kind.clone())?;
                let source = Arc::new(PartSource::Program(source));
                self.parts.push(Part { path, name, program, info, source });
                Ok(())
            }
            member::NETWORK | member::REGRESSOR | member::CLASSIFIER => {
                let is_classifier = number == member::CLASSIFIER;
                let of = if is_classifier { NetworkKind::Classifier } else { NetworkKind::Plain };
                let read = nn::import(self.spec, content, of, &info, depth, &mut self.notes);
                let (program, source) = read.at(|| kind.clone())?;
                let source = Arc::new(PartSource::Network(source));
                self.parts.push(Part { path, name, program, info, source });
                Ok(())
            }
            member::PIPELINE => self.pipeline(content, &join(&path, &kind), depth).at(|| kind.clone()),
            member::PIPELINE_CLASSIFIER | member::PIPELINE_REGRESSOR => {
                let mut pipeline = None;
                each_field(self.spec, content, |number, value, _| match (number, value) {
                    (1, Value::Bytes(r)) => once(&mut pipeline, r.clone(), "pipeline"),
                    _ => Ok(false),
                })
                .at(|| kind.clone())?;
                let path = join(&path, &format!("{kind}.pipeline"));
                self.pipeline(pipeline.unwrap_or(0..0), &path, depth.down(1)?)
                    .at(|| format!("{kind}.pipeline"))
            }
            _ => {
                // The outermost model cannot be left aside: its caller says so.
                if !path.is_empty() {
                    self.notes.push(Note::InnerModelKept { path, kind });
                }
                Ok(())
            }
        }
    }

    fn pipeline(&mut self, range: Span, path: &str, depth: Depth) -> Read<()> {
        let spec = self.spec;
        let (mut models, mut names) = (Vec::new(), Vec::new());
        each_field(spec, range, |number, value, _| match (number, value) {
            (1, Value::Bytes(r)) => {
                models.push(r.clone());
                Ok(true)
            }
            (2, Value::Bytes(r)) => {
                names.push(text(spec, r.clone())?.to_owned());
                Ok(true)
            }
            _ => Ok(false),
        })?;
        let mut names = names.into_iter();
        for (i, range) in models.into_iter().enumerate() {
            let step = format!("models[{i}]");
            let (path, name) = (join(path, &step), names.next().unwrap_or_default());
            self.envelope(range)
                .and_then(|envelope| self.model(envelope, path, name, depth.down(1)?))
                .at(|| step)?;
        }
        Ok(())
    }
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

#[cfg(test)]
mod tests {
    use super::TYPES;

    #[test]
    fn model_types_are_those_of_the_schema() {
        let model = coreml_proto::message("CoreML.Specification.Model").unwrap();
        let oneof = model.oneofs().next().unwrap();
        let mut fields: Vec<_> = oneof.fields().map(|f| (f.number(), f.name().to_owned())).collect();
        fields.sort();
        let ours: Vec<_> = TYPES.iter().map(|&(number, name)| (number, name.to_owned())).collect();
        assert_eq!(ours, fields);
    }
}

//! A model that was read: its programs, and what is needed to write it back.

use std::sync::Arc;

use anewrite_ir::Program;
use bytes::Bytes;
use coreml_proto::spec::ModelDescription;

use crate::mil::ProgramSource;
use crate::nn::NetworkSource;
use crate::note::Note;
use crate::weights::WeightUses;

/// A model as programs that can be changed, with its source to write it back from.
///
/// A plain model has one [`Part`], a pipeline one for each inner model that is a network, at any depth. Cloning shares
/// the source.
#[derive(Clone, Debug)]
pub struct Document {
    /// The networks of the model.
    pub parts: Vec<Part>,
    pub(crate) spec: Bytes,
    pub(crate) info: ModelInfo,
    pub(crate) notes: Vec<Note>,
    pub(crate) uses: Arc<WeightUses>,
}

impl Document {
    /// The model itself; for a pipeline the outer one.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What was left aside.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The specification that was read.
    pub fn spec(&self) -> &Bytes {
        &self.spec
    }

    /// The weight files that the model names, by its references to them, in order of first use.
    pub fn weight_files(&self) -> impl Iterator<Item = (&str, &Arc<coreml_package::BlobFile>)> {
        self.uses.files.iter().map(|(name, file)| (&**name, file))
    }
}

impl Document {
    /// The blob whose elements are exactly these bytes of a map, as a constant of the import has them: the reference to
    /// its file, and the offset that the model names.
    pub fn blob_of(&self, elements: &Bytes) -> Option<(&str, u64)> {
        let (file, offset) = self.uses.find(elements)?;
        let (name, _) = self.uses.files.get(file as usize)?;
        Some((name, offset))
    }
}

/// One network of a model.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its place in the model's message: empty for a plain model, `pipeline.models[1]` in a pipeline.
    pub path: String,
    /// Its name in the pipeline; empty where it has none.
    pub name: String,
    /// The network, to be changed at will.
    pub program: Program,
    pub(crate) info: ModelInfo,
    pub(crate) source: Arc<PartSource>,
}

impl Part {
    /// The model that holds the network.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// Where a network was read from.
#[derive(Debug)]
pub(crate) enum PartSource {
    /// An ML Program.
    Program(ProgramSource),
    /// A NeuralNetwork.
    Network(NetworkSource),
}

/// What a model says of itself.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Its type, as the schema names the field: `mlProgram`, `neuralNetworkClassifier`, `pipeline`.
    pub kind: String,
    /// Its specification version.
    pub spec_version: i32,
    /// Whether it can be trained on the device.
    pub is_updatable: bool,
    pub(crate) description: Arc<ModelDescription>,
}

impl ModelInfo {
    /// The description of the interface as it was decoded: fields that are not in the schema are missing here.
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// Names of the inputs, of the default function where there are several.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.description.input.iter().map(|f| f.name.as_str())
    }

    /// Names of the outputs, of the default function where there are several.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.description.output.iter().map(|f| f.name.as_str())
    }
}

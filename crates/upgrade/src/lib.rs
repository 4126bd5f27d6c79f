//! NeuralNetworks as ML Programs: each network's lowering, inside the interface that the model had.
//!
//! [`upgrade`] takes a plain network, a classifier, a regressor, or a pipeline of such. Layers become what they lower to;
//! what happened around them (the preprocessing of images, labels and probabilities, shapes of arrays) becomes ops and
//! a description. What has no equal in an ML Program is refused with a list of all of it.
//!
//! This crate must not know files, rules or the engine.

mod constants;
mod description;
mod error;
mod names;
mod network;
mod preprocessing;

use anewrite_convert::{Document, NewModel, Part};
use anewrite_ir::{DialectId, Opset};
use anewrite_tensor::DType;

pub use error::{Refusal, UpgradeError};
pub use names::may_become;

use description::{Draft, draft};

/// What models are upgraded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeOptions {
    /// The opset of the programs: the lowest system that they will run on.
    pub opset: Opset,
    /// What they compute in and store weights as: [`DType::F16`], as the engine does, or [`DType::F32`].
    pub precision: DType,
    /// Whether quantised weights stay as small as they are, unpacked by `constexpr_*` ops; else they are constants of
    /// the precision.
    pub compressed: bool,
}

impl Default for UpgradeOptions {
    /// iOS 15, with halves.
    fn default() -> Self {
        UpgradeOptions { opset: Opset::Ios15, precision: DType::F16, compressed: true }
    }
}

/// An upgraded model.
#[derive(Debug)]
pub struct Upgraded {
    /// The model, to be exported with [`NewPackage`](anewrite_convert::NewPackage) and written as a package.
    pub document: Document,
    /// What is not as it was: names and element types of the interface.
    pub notes: Vec<String>,
}

/// Makes ML Programs of the NeuralNetworks of a model.
///
/// # Errors
/// [`UpgradeError::Refused`] with everything in the model that has no equal; others where the model holds no
/// NeuralNetwork or cannot be put together.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/cifar_net.mlmodel");
/// use anewrite_upgrade::{UpgradeOptions, upgrade};
///
/// let source = coreml_package::open(path)?;
/// let document = anewrite_convert::import(&source)?;
/// let upgraded = upgrade(&document, UpgradeOptions::default())?;
/// assert_eq!(upgraded.document.info().kind, "mlProgram");
/// # Ok(())
/// # }
/// ```
pub fn upgrade(document: &Document, options: UpgradeOptions) -> Result<Upgraded, UpgradeError> {
    let networks: Vec<&Part> = document.parts.iter().filter(|p| p.program.dialect == DialectId::Nn).collect();
    if networks.is_empty() {
        return Err(UpgradeError::NoNetwork(document.info().kind.clone()));
    }
    let mut refusals = Vec::new();
    let mut notes = Vec::new();
    let is_pipeline = networks.iter().any(|p| !p.path.is_empty());
    if is_pipeline && document.info().is_updatable {
        refusals.push(Refusal::new("", "it can be trained on the device, which ML Programs cannot"));
    }
    let mut drafts = Vec::with_capacity(networks.len());
    for part in &networks {
        match draft(document, part, options) {
            Ok(draft) => drafts.push(draft),
            Err(why) => refusals.extend(why),
        }
    }
    if drafts.len() < networks.len() {
        return Err(UpgradeError::Refused(refusals));
    }
    let models: Vec<NewModel> = drafts.iter().map(|d| d.model.clone()).collect();
    let mut upgraded = document.with_programs(&models)?;
    for (draft, part) in drafts.iter().zip(&networks) {
        let Draft { model, notes: own, .. } = draft;
        notes.extend(own.iter().map(|n| place(&model.path, n)));
        let target = upgraded.parts.iter_mut().find(|p| p.path == part.path);
        let target = target.ok_or_else(|| UpgradeError::Place(part.path.clone()))?;
        match network::fill(&mut target.program, part, draft, options) {
            Err(problems) => {
                refusals.extend(problems.into_iter().map(|why| Refusal::new(&part.path, why)));
            }
            Ok(()) if options.precision == DType::F16 => match constants::round(&mut target.program) {
                Ok(own) => notes.extend(own.iter().map(|n| place(&model.path, n))),
                Err(e) => refusals.push(Refusal::new(&part.path, e.to_string())),
            },
            Ok(()) => {}
        }
    }
    match refusals.is_empty() {
        true => Ok(Upgraded { document: upgraded, notes }),
        false => Err(UpgradeError::Refused(refusals)),
    }
}

fn place(path: &str, what: &str) -> String {
    if path.is_empty() { what.to_owned() } else { format!("{path}: {what}") }
}

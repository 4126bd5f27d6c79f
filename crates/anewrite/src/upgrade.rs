//! NeuralNetworks as ML Programs.

use std::path::Path;

use anewrite_convert::{Document, NewPackage, Part};
use anewrite_ir::verify;
use anewrite_rewrite::{Context, run};
use anewrite_upgrade::UpgradeOptions;
use bytes::Bytes;
use coreml_package::{Chunk, OutputKind, PackageOutput, WriteOptions, Written, write_package};

use crate::engine::{Engine, default_target};
use crate::model::dialect_of;
use crate::{Error, Model, Selection};

/// An upgraded model, not yet written.
#[derive(Debug)]
pub struct Upgraded {
    /// The model.
    pub document: Document,
    /// What is not as it was: names and element types of the interface.
    pub notes: Vec<String>,
}

/// Makes ML Programs of a model's NeuralNetworks: layers become what they lower to, and what was around them (image
/// preprocessing, labels, flexible shapes) becomes ops and descriptions. The original stays as it is.
///
/// # Errors
/// Where the model has no NeuralNetwork, or something that an ML Program cannot say: custom layers, training. The error
/// lists all of it.
///
/// ```no_run
/// # fn main() -> Result<(), anewrite::Error> {
/// use anewrite::{Model, UpgradeOptions, WriteOptions, upgrade};
///
/// let model = Model::open("old.mlmodel")?;
/// upgrade(&model, UpgradeOptions::default())?.write("new.mlpackage", &WriteOptions::new())?;
/// # Ok(())
/// # }
/// ```
pub fn upgrade(model: &Model, options: UpgradeOptions) -> Result<Upgraded, Error> {
    let anewrite_upgrade::Upgraded { mut document, notes } =
        anewrite_upgrade::upgrade(model.document(), options)?;
    let clean = Selection::new(&["C"], &[""; 0])?;
    for part in &mut document.parts {
        clean_up(part, &clean)?;
    }
    Ok(Upgraded { document, notes })
}

/// Lowerings cast and reshape layer by layer, and repeat constants.
fn clean_up(part: &mut Part, selection: &Selection) -> Result<(), Error> {
    let dialect = dialect_of(&part.program);
    let engine = Engine::new(default_target(part.info().spec_version));
    let cx = Context {
        dialect: &*dialect,
        rules: &selection.rules(),
        objective: &engine,
        oracle: None,
        approximate: false,
        forced: selection.forced(),
        why: None,
        verify: cfg!(debug_assertions),
    };
    let path = if part.path.is_empty() { "the model".into() } else { part.path.clone() };
    let program = std::mem::take(&mut part.program);
    let outcome = run(program, &cx).map_err(|source| Error::Rewrite { path: path.clone(), source })?;
    part.program = outcome.program;
    verify::verify(&part.program, &*dialect)
        .map_err(|violations| Error::NotWellFormed { path, violations: violations.to_string() })
}

/// Tells, before any work is done, whether a package could be written there.
///
/// # Errors
/// Where the output is the input, or lies in it or around it; where something is there that may not be replaced.
pub fn check_upgrade_output(output: impl AsRef<Path>, options: &WriteOptions) -> Result<(), Error> {
    Ok(coreml_package::check_destination(output, OutputKind::Package, options)?)
}

impl Upgraded {
    /// Writes the package: whole or not at all.
    ///
    /// # Errors
    /// Where the model cannot be put together, the destination is refused, or the system fails.
    pub fn write(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<Written, Error> {
        let export = anewrite_convert::export(&self.document, &NewPackage)?;
        let model = export.model_bytes(&self.document).map_err(Error::Splice)?;
        let output = PackageOutput { base: None, model: vec![Chunk::Bytes(model)], weights: export.weights };
        Ok(write_package(path, &output, options)?)
    }

    /// The specification in memory; weights are in files beside it, so this is for looking at.
    ///
    /// # Errors
    /// Where the model cannot be put together.
    pub fn specification(&self) -> Result<Bytes, Error> {
        let export = anewrite_convert::export(&self.document, &NewPackage)?;
        export.model_bytes(&self.document).map_err(Error::Splice)
    }
}

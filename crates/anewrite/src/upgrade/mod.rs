//! NeuralNetworks as ML Programs: lowered, rewritten for the engine, compared with the original.

mod report;

use std::path::Path;
use std::time::Instant;

use anewrite_ane::Target;
use anewrite_convert::{Document, NewPackage};
use anewrite_diff::Census;
use anewrite_ir::{DialectId, Opset, Program};
use anewrite_tensor::{DType, Tensor};
use bytes::Bytes;
use coreml_package::{Chunk, OutputKind, PackageOutput, WriteOptions, Written, write_package};

use crate::bridge::{Upgraded as Bridge, is_half, is_rounded};
use crate::rewrite::{RewriteOptions, rewrite_with};
use crate::verify::{As, ComparisonReport, Given, OnEvent, Pair, VerifyOptions};
use crate::{Error, Model, Selection};

pub use report::{UpgradeReport, UpgradeVerification, UpgradedPart};

/// How to upgrade.
#[derive(Clone, Debug)]
pub struct UpgradeOptions {
    /// The opset of the programs: the lowest system that they will run on.
    pub opset: Opset,
    /// What they compute in and store weights as: [`DType::F16`], as the engine does, or [`DType::F32`].
    pub precision: DType,
    /// What the model is for; by default every family that the opset's lowest system runs on.
    pub target: Option<Target>,
    /// Which rules the programs pass through. Those for clean-up are worth keeping: lowerings cast and reshape layer by
    /// layer.
    pub selection: Selection,
    /// How the result is compared with the original; `None` leaves that out.
    pub verify: Option<VerifyOptions>,
}

impl Default for UpgradeOptions {
    /// iOS 15, with halves, all rules, compared with the original.
    fn default() -> Self {
        UpgradeOptions {
            opset: Opset::Ios15,
            precision: DType::F16,
            target: None,
            selection: Selection::default(),
            verify: Some(VerifyOptions::default()),
        }
    }
}

/// An upgraded model, not yet written.
#[derive(Debug)]
pub struct Upgraded {
    /// The model.
    pub document: Document,
    /// What was done, and how it compares with the original.
    pub report: UpgradeReport,
}

/// Makes ML Programs of a model's NeuralNetworks: layers become what they lower to, and what was around them (image
/// preprocessing, labels, flexible shapes) becomes ops and descriptions. The programs pass through the rules for the
/// engine, and what comes out is compared with the original. The original stays as it is.
///
/// # Errors
/// Where the model has no NeuralNetwork, or something that an ML Program cannot say: custom layers, training. The error
/// lists all of it. Also where the result is not equal to the original.
///
/// ```no_run
/// # fn main() -> Result<(), anewrite::Error> {
/// use anewrite::{Model, UpgradeOptions, WriteOptions, upgrade};
///
/// let model = Model::open("old.mlmodel")?;
/// upgrade(&model, &UpgradeOptions::default())?.write("new.mlpackage", &WriteOptions::new())?;
/// # Ok(())
/// # }
/// ```
pub fn upgrade(model: &Model, options: &UpgradeOptions) -> Result<Upgraded, Error> {
    upgrade_with(model, options, &mut |_| ())
}

/// As [`upgrade`], telling what is compared before it is.
///
/// # Errors
/// As [`upgrade`].
pub fn upgrade_with(model: &Model, options: &UpgradeOptions, on: OnEvent<'_>) -> Result<Upgraded, Error> {
    let start = Instant::now();
    let mut proof = Proof::new(model, options)?;
    let lowered = |precision, compressed| {
        let how = anewrite_upgrade::UpgradeOptions { opset: options.opset, precision, compressed };
        anewrite_upgrade::upgrade(model.document(), how)
    };
    let anewrite_upgrade::Upgraded { document, notes } = lowered(options.precision, true)?;
    // No constant is rounded so: what differs here is an error of a lowering, not of 16 bits.
    if let (Some(proof), true) = (&mut proof, document.parts.iter().any(is_rounded)) {
        proof.lowering(&lowered(DType::F32, false)?.document, on)?;
    }
    let lowered = Model { source: None, document, path: model.path.clone() };
    let rules = RewriteOptions {
        target: options.target,
        selection: options.selection.clone(),
        stop_after: None,
        why: None,
        // inputs of the user's are for the model as it was
        verify: options.verify.clone().map(|v| VerifyOptions { inputs: Vec::new(), ..v }),
    };
    let rewritten = rewrite_with(&lowered, &rules, on)?;
    if let Some(proof) = &mut proof {
        proof.program(&rewritten.document, on)?;
    }
    let census = |d: &Document| d.parts.iter().map(|p| Census::of(&p.program)).collect::<Vec<_>>();
    let layers = census(model.document());
    let is_network = model.document().parts.iter().map(|p| p.program.dialect == DialectId::Nn);
    let parts = rewritten.report.parts.into_iter().zip(layers).zip(is_network);
    let report = UpgradeReport {
        version: crate::REPORT_VERSION,
        kind_before: model.kind().to_owned(),
        kind: rewritten.document.info().kind.clone(),
        opset: options.opset.name().to_owned(),
        precision: options.precision.name().to_owned(),
        target: rewritten.report.target,
        parts: parts
            .map(|((rewrite, layers), upgraded)| UpgradedPart { upgraded, layers, rewrite })
            .collect(),
        notes,
        verified: match proof {
            Some(proof) => proof.done(rewritten.report.verified),
            None => UpgradeVerification::NotVerified { why: "verification was turned off".into() },
        },
        bytes_before: model.byte_len(),
        bytes_after: None,
        seconds: start.elapsed().as_secs_f64(),
    };
    let document = rewritten.document;
    Ok(Upgraded { document, report })
}

/// The comparison of an upgraded model with the original.
struct Proof<'m> {
    original: &'m Document,
    options: &'m VerifyOptions,
    given: Vec<Vec<anewrite_verify::Case>>,
    lowering: ComparisonReport,
    program: ComparisonReport,
}

impl<'m> Proof<'m> {
    fn new(model: &'m Model, options: &'m UpgradeOptions) -> Result<Option<Proof<'m>>, Error> {
        let Some(options) = &options.verify else { return Ok(None) };
        let original = model.document();
        let mut given = Given::of(original, options, As::Given)?;
        let given = (0..original.parts.len()).map(|i| given.take(i)).collect();
        let [lowering, program] = [ComparisonReport::default(), ComparisonReport::default()];
        Ok(Some(Proof { original, options, given, lowering, program }))
    }

    /// The lowering without rounding: equal in fp64.
    fn lowering(&mut self, new: &Document, on: OnEvent<'_>) -> Result<(), Error> {
        self.lowering = self.compare(new, false, on)?;
        Ok(())
    }

    /// The program that is written.
    fn program(&mut self, new: &Document, on: OnEvent<'_>) -> Result<(), Error> {
        self.program = self.compare(new, true, on)?;
        Ok(())
    }

    fn compare(&self, new: &Document, written: bool, on: OnEvent<'_>) -> Result<ComparisonReport, Error> {
        // what quantised weights stand for is rounded to 32 bits
        let is_quantised = self.original.parts.iter().any(|p| has_quantised(&p.program));
        let share = if is_quantised { UNPACKED } else { 0.0 };
        let options = VerifyOptions { tolerance: self.options.tolerance.max(share), ..self.options.clone() };
        let mut report = ComparisonReport::default();
        for ((before, after), given) in self.original.parts.iter().zip(&new.parts).zip(&self.given) {
            let Some(bridge) = Bridge::of(self.original, before, after)? else { continue };
            let (is_rounded, sixteen) = (written && is_rounded(after), written && is_half(after));
            let pair = Pair { before, after, bridge: Some(&bridge), is_rounded, sixteen };
            pair.compare(&options, given.clone(), &mut report, on);
            let failed = report.parts.last().is_some_and(|p| p.model.failure.is_some());
            if let (true, Some(what)) = (failed, &report.wrong) {
                let path = if before.path.is_empty() { "the model".into() } else { before.path.clone() };
                let first = report.first.as_ref().map(|d| format!("{} {}: {}", d.kind, d.name, d.how));
                return Err(Error::NotEqual { path, what: what.clone(), first, patch: None });
            }
        }
        Ok(report)
    }

    fn done(self, rules: crate::Verification) -> UpgradeVerification {
        let Proof { lowering, program, .. } = self;
        match &program.wrong {
            Some(why) => UpgradeVerification::NotVerified { why: why.clone() },
            None => UpgradeVerification::Verified {
                lowering: lowering.parts,
                rules: Box::new(rules),
                program: program.parts,
            },
        }
    }
}

/// The share of an output's scale by which rounding the numbers behind quantised weights to 32 bits may move it.
const UNPACKED: f64 = 1e-5;

/// Whether a network has weights of a few bits.
fn has_quantised(p: &Program) -> bool {
    let is_float = |t: &Tensor| t.dtype().is_float();
    p.all_ops().any(|op| {
        let weights = p.op(op).operands.iter().filter_map(|x| p.constant(x.value));
        weights.into_iter().any(|c| !is_float(&c.tensor))
    })
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
    pub fn write(&mut self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<Written, Error> {
        let export = anewrite_convert::export(&self.document, &NewPackage)?;
        let model = export.model_bytes(&self.document).map_err(Error::Splice)?;
        let output = PackageOutput { base: None, model: vec![Chunk::Bytes(model)], weights: export.weights };
        let written = write_package(path, &output, options)?;
        self.report.bytes_after = Some(written.bytes);
        Ok(written)
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

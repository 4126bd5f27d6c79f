//! Rewriting a model.

use std::path::Path;
use std::time::Instant;

use anewrite_ane::Target;
use anewrite_convert::{Document, NoWeights, Part};
use anewrite_diff::Census;
use anewrite_ir::{Program, verify};

use anewrite_rewrite::{Code, Context, Outcome, run, run_some};
use bytes::Bytes;
use coreml_package::{
    OutputKind, PackageOutput, Source, WriteOptions, Written, write_model_file, write_package,
};

use crate::diff::Difference;
use crate::engine::{Engine, default_target, family_names};
use crate::model::{Model, dialect_of};
use crate::report::{FiringReport, NearMissReport, PartReport, REPORT_VERSION, Report, Verification};
use crate::{Error, Selection};

/// How to rewrite.
#[derive(Clone, Debug, Default)]
pub struct RewriteOptions {
    /// What the model is for; by default every family that its lowest system runs on.
    pub target: Option<Target>,
    /// Which rules to use.
    pub selection: Selection,
    /// Keeps only the first so many firings of each network, to find the one that does harm.
    pub stop_after: Option<u32>,
    /// The rule whose near misses to report.
    pub why: Option<Code>,
}

/// A rewritten model, not yet written.
#[derive(Debug)]
pub struct Rewritten<'a> {
    /// The model that it was made from.
    pub original: &'a Model,
    /// The rewritten networks, with what is needed to write them.
    pub document: Document,
    /// What was done.
    pub report: Report,
}

/// Rewrites a model. Nothing is written, and the original stays as it is.
///
/// # Errors
/// Where rules undo each other, or their result breaks an invariant.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
/// let model = anewrite::Model::open(path)?;
/// let rewritten = anewrite::rewrite(&model, &anewrite::RewriteOptions::default())?;
/// for part in &rewritten.report.parts {
///     assert!(part.after.op_count() <= part.before.op_count());
/// }
/// # Ok(())
/// # }
/// ```
pub fn rewrite<'a>(model: &'a Model, options: &RewriteOptions) -> Result<Rewritten<'a>, Error> {
    let start = Instant::now();
    let mut document = model.document.clone();
    let mut parts = Vec::with_capacity(document.parts.len());
    let mut families = Vec::new();
    for (part, original) in document.parts.iter_mut().zip(&model.document.parts) {
        let target = options.target.unwrap_or_else(|| default_target(part.info().spec_version));
        for name in family_names(target.families()) {
            if !families.contains(&name) {
                families.push(name);
            }
        }
        parts.push(rewrite_part(part, &original.program, options, Engine::new(target))?);
    }
    let changed = parts.iter().any(|p| !p.firings.is_empty());
    let report = Report {
        version: REPORT_VERSION,
        kind: model.kind().to_owned(),
        target: families,
        changed,
        verified: Verification::NotVerified { why: "this version does not evaluate models".into() },
        parts,
        notes: model.document.notes().iter().map(ToString::to_string).collect(),
        bytes_before: model.byte_len(),
        bytes_after: None,
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok(Rewritten { original: model, document, report })
}

fn rewrite_part(
    part: &mut Part,
    original: &Program,
    options: &RewriteOptions,
    engine: Engine,
) -> Result<PartReport, Error> {
    let dialect = dialect_of(&part.program);
    let rules = options.selection.rules();
    let cx = Context {
        dialect: &*dialect,
        rules: &rules,
        objective: &engine,
        oracle: None,
        approximate: options.selection.allows_approximate(),
        forced: options.selection.forced(),
        why: options.why,
        verify: cfg!(debug_assertions),
    };
    let before = Census::of(&part.program);
    let program = std::mem::take(&mut part.program);
    let outcome = match options.stop_after {
        None => run(program, &cx),
        Some(n) => run_some(program, &cx, |number| number <= n),
    };
    let outcome = outcome.map_err(|source| Error::Rewrite { path: place(part), source })?;
    let Outcome { program, firings, near_misses, .. } = outcome;
    part.program = program;
    if !firings.is_empty()
        && let Err(after) = verify::verify(&part.program, &*dialect)
    {
        // A source that breaks invariants itself is not ours to refuse, only what a rule would add.
        let already = verify::verify(original, &*dialect).err().map_or(0, |v| v.0.len());
        if after.0.len() > already {
            return Err(Error::NotWellFormed { path: place(part), violations: after.to_string() });
        }
    }
    let name = |code: Code| rules.iter().map(|r| r.info()).find(|i| i.code == code).map_or("", |i| i.name);
    Ok(PartReport {
        path: part.path.clone(),
        firings: firings.iter().map(|f| FiringReport::of(f, name(f.code))).collect(),
        before,
        after: Census::of(&part.program),
        near_misses: near_misses
            .iter()
            .map(|m| NearMissReport { op: m.op.to_string(), kind: m.kind.to_string(), why: m.why.clone() })
            .collect(),
    })
}

fn place(part: &Part) -> String {
    if part.path.is_empty() { "the model".into() } else { part.path.clone() }
}

/// Tells, before any work is done, whether a model could be written there.
///
/// # Errors
/// Where the output is the input, or lies in it or around it; where something is there that may not be replaced.
pub fn check_output(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    options: &WriteOptions,
) -> Result<(), Error> {
    let kind = if input.as_ref().is_dir() { OutputKind::Package } else { OutputKind::ModelFile };
    Ok(coreml_package::check_destination(output, kind, options)?)
}

impl Rewritten<'_> {
    /// What changed, op by op, the rule that made an op behind it.
    pub fn diff(&self) -> Difference {
        Difference::of(&self.original.document, &self.document)
    }

    /// Writes the model: whole or not at all, and never over its input. Where nothing changed it is a copy, byte for
    /// byte; else every op that no rule touched keeps its bytes.
    ///
    /// # Errors
    /// Where the destination is refused or the system fails.
    pub fn write(&mut self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<Written, Error> {
        let path = path.as_ref();
        let source = self.original.source.as_deref().ok_or(Error::InMemory)?;
        let written = match source {
            _ if !self.report.changed => coreml_package::copy(source, path, options)?,
            Source::ModelFile(file) => {
                let export = anewrite_convert::export(&self.document, source)?;
                write_model_file(path, &export.model_chunks(file.file()), options)?
            }
            Source::Package(package) => {
                let export = anewrite_convert::export(&self.document, source)?;
                let model = export.model_chunks(package.model());
                let output = PackageOutput { base: Some(package), model, weights: export.weights };
                write_package(path, &output, options)?
            }
            _ => return Err(Error::Compiled(self.original.path.clone())),
        };
        self.report.bytes_after = Some(written.bytes);
        Ok(written)
    }

    /// The specification of the rewritten model in memory: for models read from bytes, or to be sent elsewhere.
    ///
    /// # Errors
    /// Where the model cannot be put together, or keeps weights in files beside it.
    pub fn to_bytes(&self) -> Result<Bytes, Error> {
        let export = match self.original.source.as_deref() {
            Some(source) => anewrite_convert::export(&self.document, source)?,
            None => anewrite_convert::export(&self.document, &NoWeights)?,
        };
        let bytes = export.model.to_vec(self.document.spec());
        Ok(bytes.map_err(|e| Error::Splice(e.to_string()))?.into())
    }
}

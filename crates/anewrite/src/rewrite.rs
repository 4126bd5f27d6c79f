//! Rewriting a model.

use std::path::Path;
use std::time::Instant;

use anewrite_ane::Target;
use anewrite_convert::{Document, NoWeights, Part};
use anewrite_diff::Census;
use anewrite_ir::{Dialect, Program, verify};
use anewrite_rewrite::{Code, Context, Firing, Outcome, Purpose, Rule, run, run_some};
use anewrite_verify::{Case, Failure, Note, PatchOracle, PatchSummary};
use bytes::Bytes;
use coreml_package::{
    OutputKind, PackageOutput, Source, WriteOptions, Written, write_model_file, write_package,
};

use crate::diff::Difference;
use crate::engine::{Engine, default_target, family_names};
use crate::model::{Model, dialect_of};
use crate::plan::plans;
use crate::report::{FiringReport, NearMissReport, PartReport, REPORT_VERSION, Report, Verification};
use crate::verify::{
    As, Given, OnEvent, PartVerification, Rewrote, VerifiedReport, VerifyOptions, nothing_compared,
};
use crate::{Error, Selection};

/// How to rewrite.
#[derive(Clone, Debug)]
pub struct RewriteOptions {
    /// What the model is for; by default every family that its lowest system runs on.
    pub target: Option<Target>,
    /// Which rules to use.
    pub selection: Selection,
    /// Keeps only the first so many firings of each network, to find the one that does harm.
    pub stop_after: Option<u32>,
    /// The rule whose near misses to report.
    pub why: Option<Code>,
    /// How the result is compared with the original; `None` leaves that out.
    pub verify: Option<VerifyOptions>,
}

impl Default for RewriteOptions {
    fn default() -> Self {
        RewriteOptions {
            target: None,
            selection: Selection::default(),
            stop_after: None,
            why: None,
            verify: Some(VerifyOptions::default()),
        }
    }
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
    rewrite_with(model, options, &mut |_| ())
}

/// As [`rewrite`], telling what is compared before it is.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_with<'a>(
    model: &'a Model,
    options: &RewriteOptions,
    on: OnEvent<'_>,
) -> Result<Rewritten<'a>, Error> {
    let start = Instant::now();
    let mut document = model.document.clone();
    let mut parts = Vec::with_capacity(document.parts.len());
    let mut families = Vec::new();
    let mut given = match &options.verify {
        Some(v) => Given::of(&model.document, v, As::Prepared)?,
        None => Given::default(),
    };
    let mut verified = Vec::new();
    for (i, (part, original)) in document.parts.iter_mut().zip(&model.document.parts).enumerate() {
        let target = options.target.unwrap_or_else(|| default_target(part.info().spec_version));
        for name in family_names(target.families()) {
            if !families.contains(&name) {
                families.push(name);
            }
        }
        let rules = options.selection.rules();
        let job = Job { original, options, rules, judges_patches: true, given: given.take(i) };
        let (report, verification) = job.run(part, Engine::new(target), on)?;
        parts.push(report);
        verified.extend(verification);
    }
    let changed = parts.iter().any(|p| !p.firings.is_empty());
    let report = Report {
        version: REPORT_VERSION,
        kind: model.kind().to_owned(),
        target: families,
        changed,
        verified: verification(options, changed, verified),
        parts,
        notes: model.document.notes().iter().map(ToString::to_string).collect(),
        bytes_before: model.byte_len(),
        bytes_after: None,
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok(Rewritten { original: model, document, report })
}

/// What the report says about verification.
fn verification(options: &RewriteOptions, changed: bool, parts: Vec<PartVerification>) -> Verification {
    let Some(v) = &options.verify else {
        return Verification::NotVerified { why: "verification was turned off".into() };
    };
    if !changed {
        return Verification::NotVerified { why: "nothing was changed".into() };
    }
    let seconds = parts.iter().map(|p| p.model.seconds + p.patches.seconds).sum();
    let blind = parts.iter().find(|p| !p.model.has_compared()).map(|p| nothing_compared(&p.model));
    let report = Box::new(VerifiedReport { mode: v.mode, parts, seconds });
    match blind {
        Some(why) => Verification::PatchesOnly { why, report },
        None => Verification::Verified(report),
    }
}

/// One network to be rewritten.
struct Job<'a> {
    original: &'a Part,
    options: &'a RewriteOptions,
    rules: Vec<&'static dyn Rule>,
    /// Whether patches are judged one by one, besides the whole network.
    judges_patches: bool,
    given: Vec<Case>,
}

impl Job<'_> {
    fn run(
        &self,
        part: &mut Part,
        engine: Engine,
        on: OnEvent<'_>,
    ) -> Result<(PartReport, Option<PartVerification>), Error> {
        let dialect = dialect_of(&part.program);
        let rules = &self.rules;
        let patches = self.options.verify.as_ref().filter(|_| self.judges_patches);
        let oracle = patches.map(|v| PatchOracle::new(v.patches()));
        let cx = Context {
            dialect: &*dialect,
            rules,
            objective: &engine,
            oracle: oracle.as_ref().map(|o| o as &dyn anewrite_rewrite::Oracle),
            approximate: self.options.selection.allows_approximate(),
            forced: self.options.selection.forced(),
            why: self.options.why,
            verify: cfg!(debug_assertions),
        };
        let before = Census::of(&part.program);
        let empty = Program::new(part.program.dialect);
        let mut own = Some(std::mem::replace(&mut part.program, empty));
        let mut left_out: Vec<(u32, Note)> = Vec::new();
        let (outcome, model) = loop {
            let outcome =
                self.replay(own.take(), part, &cx, |n| left_out.iter().all(|(out, _)| *out != n))?;
            self.well_formed(part, &outcome.program, &*dialect, &outcome.firings)?;
            let Some(v) = &self.options.verify else { break (outcome, None) };
            if outcome.firings.is_empty() {
                break (outcome, None);
            }
            let patches = oracle.as_ref().map(PatchOracle::summary).unwrap_or_default();
            let model = self.rewrote(&outcome, rules, &patches).compare(v, &self.given, on);
            let Some(failure) = model.failure.clone() else { break (outcome, Some(model)) };
            let found = self.culprit(part, &cx, &patches, &outcome, &left_out, &failure)?;
            match found {
                Some((number, note)) if v.keep_going => left_out.push((number, note)),
                found => {
                    let rewrote = self.rewrote(&outcome, rules, &patches);
                    let first = rewrote.first_difference(v, &failure);
                    return Err(Error::NotEqual {
                        path: place(part),
                        what: format!(
                            "{} ({}, {})",
                            failure.what,
                            failure.case.label,
                            failure.arithmetic.name()
                        ),
                        first: first.map(|d| format!("{} {}: {}", d.kind, d.name, d.how)),
                        patch: found.map(|(number, n)| format!("{number} ({} at {})", n.code, n.at)),
                    });
                }
            }
        };
        let name =
            |code: Code| rules.iter().map(|r| r.info()).find(|i| i.code == code).map_or("", |i| i.name);
        let Outcome { program, facts, firings, near_misses, .. } = outcome;
        part.program = program;
        // Clean-up alone is not for the plan's sake, and planning costs as much as all of a clean-up.
        let cleans =
            |code: Code| rules.iter().any(|r| r.info().code == code && r.info().purpose == Purpose::Clean);
        let plans = if firings.iter().all(|f| cleans(f.code)) {
            Vec::new()
        } else {
            plans(&self.original.program, &part.program, &facts, engine.target())
        };
        let report = PartReport {
            path: part.path.clone(),
            firings: firings.iter().map(|f| FiringReport::of(f, name(f.code))).collect(),
            before,
            after: Census::of(&part.program),
            plans,
            near_misses: near_misses
                .iter()
                .map(|m| NearMissReport {
                    op: m.op.to_string(),
                    kind: m.kind.to_string(),
                    why: m.why.clone(),
                })
                .collect(),
        };
        let verification = model.map(|model| PartVerification {
            path: part.path.clone(),
            patches: oracle.as_ref().map(PatchOracle::summary).unwrap_or_default(),
            model,
            left_out: left_out.into_iter().map(|(_, note)| note).collect(),
        });
        Ok((report, verification))
    }

    /// Rewrites the original: all of it where its program is handed over, else with the firings that `keep` wants.
    fn replay(
        &self,
        own: Option<Program>,
        part: &Part,
        cx: &Context<'_>,
        keep: impl Fn(u32) -> bool,
    ) -> Result<Outcome, Error> {
        let stop = self.options.stop_after;
        let all = own.is_some() && stop.is_none();
        let program = own.unwrap_or_else(|| self.original.program.clone());
        let outcome = match stop {
            _ if all => run(program, cx),
            _ => run_some(program, cx, |n| stop.is_none_or(|stop| n <= stop) && keep(n)),
        };
        outcome.map_err(|source| Error::Rewrite { path: place(part), source })
    }

    /// A source that breaks invariants itself is not ours to refuse, only what a rule would add.
    fn well_formed(
        &self,
        part: &Part,
        program: &Program,
        dialect: &dyn Dialect,
        firings: &[Firing],
    ) -> Result<(), Error> {
        if !firings.is_empty()
            && let Err(after) = verify::verify(program, dialect)
        {
            let already = verify::verify(&self.original.program, dialect).err().map_or(0, |v| v.0.len());
            if after.0.len() > already {
                return Err(Error::NotWellFormed { path: place(part), violations: after.to_string() });
            }
        }
        Ok(())
    }

    fn rewrote<'o>(
        &'o self,
        outcome: &'o Outcome,
        rules: &'o [&'static dyn Rule],
        patches: &'o PatchSummary,
    ) -> Rewrote<'o> {
        Rewrote {
            part: self.original,
            before: &self.original.program,
            after: &outcome.program,
            firings: &outcome.firings,
            provenance: &outcome.provenance,
            rules,
            patches,
        }
    }

    /// The first firing with which the case fails, found by halving.
    fn culprit(
        &self,
        part: &Part,
        cx: &Context<'_>,
        patches: &PatchSummary,
        outcome: &Outcome,
        left_out: &[(u32, Note)],
        failure: &Failure,
    ) -> Result<Option<(u32, Note)>, Error> {
        let Some(v) = &self.options.verify else { return Ok(None) };
        let numbers: Vec<u32> = outcome.firings.iter().map(|f| f.number).collect();
        // With none of the first `good` firings it passes, with `bad` of them it fails.
        let (mut good, mut bad) = (0, numbers.len());
        let mut what = failure.what.clone();
        while bad - good > 1 {
            let middle = (good + bad) / 2;
            let last = numbers[middle - 1];
            let keep = |n: u32| n <= last && left_out.iter().all(|(out, _)| *out != n);
            let tried = self.replay(None, part, cx, keep)?;
            match self.rewrote(&tried, &self.rules, patches).recheck(v, failure) {
                Some(how) => (bad, what) = (middle, how),
                None => good = middle,
            }
        }
        let firing =
            numbers.get(bad.wrapping_sub(1)).and_then(|n| outcome.firings.iter().find(|f| f.number == *n));
        Ok(firing.map(|f| (f.number, Note { code: f.code.to_string(), at: f.at.to_string(), what })))
    }
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

#[cfg(test)]
mod tests {
    use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, RuleInfo, declare_rule};

    use super::*;

    declare_rule! {
        /// ## What it does
        /// Takes out every `relu`, which is wrong.
        pub struct NoRelu = C 999 "no-relu";
        grade: BitExact, purpose: Clean,
    }

    impl Rule for NoRelu {
        fn info(&self) -> &'static RuleInfo {
            &INFO
        }

        fn pattern(&self) -> Pattern {
            Pattern::op("relu")
        }

        fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
            let x = patch.tap(m.arg(m.root(), "x")?);
            patch.replace(m.result(m.root())?, x)
        }
    }

    fn run(keep_going: bool, judges_patches: bool) -> Result<(PartReport, Option<PartVerification>), Error> {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
        let model = Model::open(path).unwrap();
        let options = RewriteOptions {
            verify: Some(VerifyOptions { keep_going, ..VerifyOptions::default() }),
            ..RewriteOptions::default()
        };
        let mut rules: Vec<&'static dyn Rule> = options.selection.rules();
        rules.push(&NoRelu);
        let original = &model.document.parts[0];
        let job = Job { original, options: &options, rules, judges_patches, given: Vec::new() };
        let target = default_target(original.info().spec_version);
        job.run(&mut original.clone(), Engine::new(target), &mut |_| ())
    }

    #[test]
    fn a_wrong_patch_ends_the_rewrite() {
        let error = run(false, true).unwrap_err();
        assert!(error.is_inequality() && error.to_string().contains("C999"), "{error}");
    }

    #[test]
    fn a_wrong_model_names_the_op_and_the_patch() {
        let error = run(false, false).unwrap_err();
        let Error::NotEqual { patch: Some(patch), first: Some(_), .. } = &error else { panic!("{error}") };
        assert!(error.is_inequality() && patch.contains("C999"), "{error}");
    }

    #[test]
    fn wrong_patches_are_left_out_and_the_rest_stays() {
        for judges_patches in [true, false] {
            let (report, verified) = run(true, judges_patches).unwrap();
            let verified = verified.unwrap();
            let relus = report.before.ops["relu"];
            assert!(relus > 0 && report.after.ops["relu"] == relus);
            assert!(!report.firings.is_empty() && report.firings.iter().all(|f| f.code != "C999"));
            let left_out: Vec<_> = verified.patches.left_out.iter().chain(&verified.left_out).collect();
            assert!(
                left_out.len() as u64 == relus && left_out.iter().all(|n| n.code == "C999"),
                "{left_out:?}"
            );
            assert!(verified.model.has_compared() && verified.model.failure.is_none());
        }
    }
}

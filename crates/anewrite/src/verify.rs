//! Verifying rewrites, and comparing any two models.

use std::collections::BTreeSet;

use anewrite_convert::{Document, Feature, FeatureKind, Flexible, Interface, Part};
use anewrite_interp::{EvalError, Observer, Step};
use anewrite_ir::{OpId, Program, Side, Str, ValueId};
use anewrite_rewrite::{Firing, Grade, Rule};
use anewrite_upgrade::may_become;
use anewrite_verify::{
    Bridge, Case, Divergence, EXACT, Event, Failure, Input, Mode, ModelOptions, ModelReport, Note,
    PatchOptions, PatchSummary, Subject,
};
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::bridge::{GROWTH, Upgraded, is_half, is_rounded};
use crate::features::Features;
use crate::run::{RunOptions, Runner, Watch};
use crate::{Error, Model};

/// How a rewrite is verified, or two models are compared.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How thoroughly whole models are compared.
    pub mode: Mode,
    /// The most bytes that a run may use beside the weights.
    pub memory: u64,
    /// Where the random numbers start.
    pub seed: u64,
    /// Inputs to compare on, one after the other, in place of random ones.
    pub inputs: Vec<Features>,
    /// Whether a patch that is not equal is left out, and rewriting goes on.
    pub keep_going: bool,
    /// The share of an output's scale that it may be off in fp64.
    pub tolerance: f64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        VerifyOptions {
            mode: Mode::Fast,
            memory: 8 << 30,
            seed: 0,
            inputs: Vec::new(),
            keep_going: false,
            tolerance: EXACT,
        }
    }
}

impl VerifyOptions {
    pub(crate) fn patches(&self) -> PatchOptions {
        PatchOptions {
            seed: self.seed,
            memory: self.memory,
            leave_out: self.keep_going,
            work: if self.mode == Mode::Full { 2e10 } else { 1e9 },
        }
    }

    fn models(&self) -> ModelOptions {
        ModelOptions {
            mode: self.mode,
            seed: self.seed,
            memory: self.memory,
            seconds: None,
            share: self.tolerance,
            sixteen: true,
        }
    }
}

/// Told what is being compared, before it is.
pub type OnEvent<'a> = &'a mut dyn FnMut(Event<'_>);

/// What came of verifying a rewrite.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedReport {
    /// How thoroughly.
    pub mode: Mode,
    /// By network.
    pub parts: Vec<PartVerification>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What came of verifying one network.
#[derive(Clone, Debug, Serialize)]
pub struct PartVerification {
    /// Its place in the model; empty for a plain model.
    pub path: String,
    /// Its patches, one by one.
    pub patches: PatchSummary,
    /// The whole network.
    pub model: ModelReport,
    /// Firings that were left out because of the whole network.
    pub left_out: Vec<Note>,
}

/// What came of comparing two models.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonReport {
    /// Version of this form: [`REPORT_VERSION`](crate::REPORT_VERSION).
    pub version: u32,
    /// Whether they agree.
    pub equal: bool,
    /// What is wrong first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
    /// The op at which they part, where one can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Divergence>,
    /// By network.
    pub parts: Vec<ComparedPart>,
}

impl Default for ComparisonReport {
    /// Nothing was compared, and nothing differs.
    fn default() -> Self {
        ComparisonReport {
            version: crate::REPORT_VERSION,
            equal: true,
            wrong: None,
            first: None,
            parts: Vec::new(),
        }
    }
}

/// One network of two models.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedPart {
    /// Its place in the first model; empty for a plain model.
    pub path: String,
    /// What came of it.
    pub model: ModelReport,
    /// The inputs that it was compared on.
    #[serde(skip)]
    pub cases: Vec<Case>,
}

/// Compares two models with the same interface, network by network.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
/// use anewrite::{Model, VerifyOptions, verify};
/// let (a, b) = (Model::open(path)?, Model::open(path)?);
/// let report = verify(&a, &b, &VerifyOptions::default(), &mut |_| ())?;
/// assert!(report.equal);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where the models have not the same inputs, outputs and states, or the inputs that are given do not fit.
pub fn verify(
    a: &Model,
    b: &Model,
    options: &VerifyOptions,
    on: OnEvent<'_>,
) -> Result<ComparisonReport, Error> {
    let (a, b) = (&a.document, &b.document);
    same_interface(a, b)?;
    if a.parts.len() != b.parts.len() {
        let why = format!("{} networks in one model and {} in the other", a.parts.len(), b.parts.len());
        return Err(Error::Interface(why));
    }
    let mut given = Given::of(a, options, if are_upgraded(a, b) { As::Given } else { As::Prepared })?;
    let mut report = ComparisonReport::default();
    for (i, (x, y)) in a.parts.iter().zip(&b.parts).enumerate() {
        let bridge = Upgraded::of(a, x, y)?;
        let is_rounded = bridge.is_some() && is_rounded(y);
        let sixteen = bridge.is_none() || is_half(y);
        let pair = Pair { before: x, after: y, bridge: bridge.as_ref(), is_rounded, sixteen };
        pair.compare(options, given.take(i), &mut report, on);
    }
    Ok(report)
}

/// Two networks to be compared, the first of which is right.
pub(crate) struct Pair<'a> {
    pub(crate) before: &'a Part,
    pub(crate) after: &'a Part,
    /// Where a network is compared with the program that it became.
    pub(crate) bridge: Option<&'a Upgraded>,
    /// Whether the second has constants that were rounded.
    pub(crate) is_rounded: bool,
    /// Whether they are also compared under 16-bit arithmetic.
    pub(crate) sixteen: bool,
}

impl Pair<'_> {
    /// Compares them, and adds what came of it to the report.
    pub(crate) fn compare(
        &self,
        options: &VerifyOptions,
        given: Vec<Case>,
        report: &mut ComparisonReport,
        on: OnEvent<'_>,
    ) {
        let growth = if self.bridge.is_some() { GROWTH } else { 1.0 };
        let subject = Subject {
            before: &self.before.program,
            after: &self.after.program,
            inputs: &|f| inputs(self.before, f),
            growth: &|_, _| growth,
            rounded: self.is_rounded,
            bridge: self.bridge.map(|b| b as &dyn Bridge),
        };
        let models = ModelOptions { sixteen: self.sixteen, ..options.models() };
        let model = anewrite_verify::verify(&subject, &models, &given, on);
        if let (Some(failure), true) = (&model.failure, report.equal) {
            report.equal = false;
            report.wrong = Some(failure.what.clone());
            report.first = anewrite_verify::first_difference(&subject, &models, failure);
        }
        if !model.has_compared() && report.equal {
            report.equal = false;
            report.wrong = Some(nothing_compared(&model));
        }
        report.parts.push(ComparedPart { path: self.before.path.clone(), model, cases: given });
    }
}

/// Why no output was compared.
pub(crate) fn nothing_compared(model: &ModelReport) -> String {
    match model.not_run.first() {
        Some(why) => format!("the original cannot be run here: {why}"),
        None => "there is nothing to compare".into(),
    }
}

fn same_interface(a: &Document, b: &Document) -> Result<(), Error> {
    let (x, y) = (a.info().interface(None), b.info().interface(None));
    // what is no identifier was renamed where a network became a program, and a classifier may have got outputs
    let upgraded = are_upgraded(a, b);
    let alike = |x: &[Feature], y: &[Feature]| match upgraded {
        true => y.len() >= x.len() && x.iter().zip(y).all(|(x, y)| may_become(&x.name, &y.name)),
        false => names(x) == names(y),
    };
    for (what, x, y) in [
        ("inputs", &x.inputs, &y.inputs),
        ("outputs", &x.outputs, &y.outputs),
        ("states", &x.states, &y.states),
    ] {
        if !alike(x, y) {
            let (x, y) = (names(x), names(y));
            return Err(Error::Interface(format!("the models have other {what}: {x:?} and {y:?}")));
        }
    }
    Ok(())
}

fn names(list: &[Feature]) -> BTreeSet<&str> {
    list.iter().map(|f| f.name.as_str()).collect()
}

/// Whether networks of the first model are programs in the second.
fn are_upgraded(a: &Document, b: &Document) -> bool {
    a.parts.iter().zip(&b.parts).any(|(x, y)| x.program.dialect != y.program.dialect)
}

/// What a function of a part takes, as the description says.
fn inputs(part: &Part, function: &str) -> Vec<Input> {
    let info = part.info();
    let own = if part.program.functions().count() > 1 { Some(function) } else { None };
    let interface: Interface = info.interface(own);
    interface.inputs.iter().map(input).collect()
}

fn input(f: &Feature) -> Input {
    let flexible = |f: &Flexible| match f {
        Flexible::No => anewrite_verify::Flexible::No,
        Flexible::OneOf(list) => anewrite_verify::Flexible::OneOf(list.clone()),
        Flexible::Range(list) => anewrite_verify::Flexible::Range(list.clone()),
    };
    let extents = |list: &[i64]| list.iter().map(|&n| u64::try_from(n).unwrap_or(0)).collect();
    let name = f.name.clone();
    match &f.kind {
        FeatureKind::Array { shape, flexible: other, default, .. } => Input {
            name,
            shape: extents(shape),
            flexible: flexible(other),
            is_image: false,
            default: *default,
        },
        FeatureKind::Image { size, flexible: other, .. } => {
            Input { name, shape: extents(size), flexible: flexible(other), is_image: true, default: None }
        }
        _ => Input { name, ..Input::default() },
    }
}

/// The cases that a network of its own is compared on, without limit of time.
pub(crate) fn model_cases(part: &Part, options: &VerifyOptions) -> Vec<Case> {
    let subject = Subject {
        before: &part.program,
        after: &part.program,
        inputs: &|f| inputs(part, f),
        growth: &|_, _| 1.0,
        rounded: false,
        bridge: None,
    };
    anewrite_verify::cases(&subject, &options.models())
}

/// The user's inputs as each network of a model gets them.
#[derive(Default)]
pub(crate) struct Given {
    by_part: Vec<Vec<Case>>,
}

impl Given {
    /// Runs the model on the inputs, and keeps what goes into each network.
    pub(crate) fn of(document: &Document, options: &VerifyOptions, how: As) -> Result<Given, Error> {
        let mut given = Given { by_part: vec![Vec::new(); document.parts.len()] };
        if options.inputs.is_empty() {
            return Ok(given);
        }
        let run = RunOptions {
            evaluator: anewrite_interp::Options {
                memory: options.memory,
                seed: options.seed,
                ..Default::default()
            },
            function: None,
        };
        let mut runner = Runner::of(document, &run)?;
        let has_states = !runner.interface().states.is_empty();
        for (n, inputs) in options.inputs.iter().enumerate() {
            let mut kept =
                Entering { entered: vec![None; document.parts.len()], paths: paths(document), how };
            runner.watch(inputs, &mut kept)?;
            for (cases, entered) in given.by_part.iter_mut().zip(kept.entered) {
                let Some((function, inputs)) = entered else { continue };
                // states live on from one prediction to the next
                match cases.last_mut().filter(|_| has_states) {
                    Some(case) => case.steps.push(inputs),
                    None => cases.push(Case {
                        function,
                        label: format!("inputs {}", n + 1),
                        steps: vec![inputs],
                        sixteen: true,
                    }),
                }
            }
        }
        Ok(given)
    }

    pub(crate) fn take(&mut self, part: usize) -> Vec<Case> {
        self.by_part.get_mut(part).map(std::mem::take).unwrap_or_default()
    }
}

fn paths(document: &Document) -> Vec<String> {
    document.parts.iter().map(|p| p.path.clone()).collect()
}

/// A function and its inputs.
type Entered = (String, Vec<(Str, anewrite_interp::Value)>);

/// Which inputs of a network are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// Those that its model is given: images are pixels.
    Given,
    /// Those of its first layer, after the preprocessing of images.
    Prepared,
}

/// Keeps what goes into each network.
struct Entering {
    entered: Vec<Option<Entered>>,
    paths: Vec<String>,
    how: As,
}

impl Watch for Entering {
    fn part(&mut self, _: &Part) -> &mut dyn Observer {
        self
    }

    fn given(&mut self, part: &Part, function: &str, inputs: &[(Str, anewrite_interp::Value)]) {
        if self.how == As::Given {
            self.keep(part, function, inputs);
        }
    }

    fn enter(&mut self, part: &Part, function: &str, inputs: &[(Str, anewrite_interp::Value)]) {
        if self.how == As::Prepared {
            self.keep(part, function, inputs);
        }
    }
}

impl Entering {
    fn keep(&mut self, part: &Part, function: &str, inputs: &[(Str, anewrite_interp::Value)]) {
        if let Some(at) = self.paths.iter().position(|p| *p == part.path) {
            self.entered[at] = Some((function.to_owned(), inputs.to_vec()));
        }
    }
}

impl Observer for Entering {
    fn after(&mut self, _: &Step<'_>) -> Result<(), EvalError> {
        Ok(())
    }
}

/// A network that was rewritten, to be compared with what it was.
pub(crate) struct Rewrote<'a> {
    pub(crate) part: &'a Part,
    pub(crate) before: &'a Program,
    pub(crate) after: &'a Program,
    pub(crate) firings: &'a [Firing],
    pub(crate) provenance: &'a Side<OpId, u32>,
    pub(crate) rules: &'a [&'static dyn Rule],
    pub(crate) patches: &'a PatchSummary,
}

impl Rewrote<'_> {
    /// Compares the network with what it was.
    pub(crate) fn compare(&self, options: &VerifyOptions, given: &[Case], on: OnEvent<'_>) -> ModelReport {
        let models = self.options(options);
        self.with_subject(|s| anewrite_verify::verify(s, &models, given, on))
    }

    /// What is wrong with a case that failed before, if anything.
    pub(crate) fn recheck(&self, options: &VerifyOptions, failure: &Failure) -> Option<String> {
        let models = self.options(options);
        self.with_subject(|s| anewrite_verify::recheck(s, &models, failure))
    }

    /// The op at which the two part.
    pub(crate) fn first_difference(&self, options: &VerifyOptions, failure: &Failure) -> Option<Divergence> {
        let models = self.options(options);
        self.with_subject(|s| anewrite_verify::first_difference(s, &models, failure))
    }

    /// Approximate rules may be off by what they say.
    fn options(&self, options: &VerifyOptions) -> ModelOptions {
        let bounds: f64 =
            self.fired().filter(|r| r.info().grade == Grade::Approximate).map(|r| r.info().bound).sum();
        ModelOptions { share: options.tolerance.max(APPROXIMATE * bounds), ..options.models() }
    }

    fn fired(&self) -> impl Iterator<Item = &&'static dyn Rule> {
        let codes: BTreeSet<_> = self.firings.iter().map(|f| f.code).collect();
        self.rules.iter().filter(move |r| codes.contains(&r.info().code))
    }

    fn with_subject<T>(&self, run: impl FnOnce(&Subject<'_>) -> T) -> T {
        let growths: FxHashMap<(String, String), f64> = self.growths();
        let subject = Subject {
            before: self.before,
            after: self.after,
            inputs: &|f| inputs(self.part, f),
            growth: &|f, o| growths.get(&(f.to_owned(), o.to_owned())).copied().unwrap_or(1.0),
            rounded: self.patches.rounded > 0,
            bridge: None,
        };
        run(&subject)
    }

    /// For each output the product of the growths that the rules behind it declare.
    fn growths(&self) -> FxHashMap<(String, String), f64> {
        let p = self.after;
        let mut out = FxHashMap::default();
        for (_, f) in p.functions() {
            for &output in &p.block(f.body).outputs {
                let numbers = self.behind(output);
                let codes: BTreeSet<_> =
                    self.firings.iter().filter(|f| numbers.contains(&f.number)).map(|f| f.code).collect();
                let rules = self.rules.iter().map(|r| r.info()).filter(|i| codes.contains(&i.code));
                let growth: f64 = rules.map(|i| i.growth).product();
                out.insert((f.name.to_string(), p.value(output).name.to_string()), growth);
            }
        }
        out
    }

    /// The firings whose ops a value depends on.
    fn behind(&self, value: ValueId) -> BTreeSet<u32> {
        let p = self.after;
        let mut seen = rustc_hash::FxHashSet::default();
        let mut stack: Vec<OpId> = p.def_op(value).into_iter().collect();
        let mut out = BTreeSet::new();
        while let Some(op) = stack.pop() {
            if !seen.insert(op) {
                continue;
            }
            out.insert(self.provenance[op]);
            stack.extend(p.op(op).operands.iter().filter_map(|x| p.def_op(x.value)));
            let inner = p.op(op).blocks.iter().flat_map(|&b| p.walk(b));
            stack.extend(inner);
        }
        out
    }
}

/// What approximate rules promise for one value may add up along the model.
const APPROXIMATE: f64 = 4.0;

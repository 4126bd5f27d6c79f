//! Comparing whole models, original and rewritten side by side.

use std::time::Instant;

use anewrite_interp::{Arithmetic, EvalError, Evaluator, Options, Value};
use anewrite_ir::infer::{Inferred, infer};
use anewrite_ir::mil::Mil;
use anewrite_ir::{BlockId, Dialect, DialectId, OpId, Program, Str, Type, ValueId};
use anewrite_nn::Nn;
use serde::Serialize;

use crate::bridge::{Bridge, like};
use crate::cases::{Case, Cases};
use crate::compare::EXACT;
use crate::cost;
use crate::decide::{Decided, Decision, Watching, decisions};
use crate::judge::{Given, LEAST_GROWTH, Limits, OutputReport};
use crate::shapes::Input;

/// How thorough a comparison is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A few inputs in each shape; up to a minute.
    #[default]
    Fast,
    /// More seeds and distributions; up to ten minutes.
    Full,
}

impl Mode {
    fn seconds(self) -> f64 {
        match self {
            Mode::Fast => 60.0,
            Mode::Full => 600.0,
        }
    }
}

/// How models are compared.
#[derive(Clone, Copy, Debug)]
pub struct ModelOptions {
    /// How thoroughly.
    pub mode: Mode,
    /// Where the random numbers start.
    pub seed: u64,
    /// The most bytes that a run may use beside the weights.
    pub memory: u64,
    /// The most seconds to spend; by default what the mode says.
    pub seconds: Option<f64>,
    /// The share of an output's scale that it may be off in fp64.
    pub share: f64,
    /// Whether they are compared under 16-bit arithmetic too.
    pub sixteen: bool,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions {
            mode: Mode::Fast,
            seed: 0,
            memory: 8 << 30,
            seconds: None,
            share: EXACT,
            sixteen: true,
        }
    }
}

/// Two programs that should be equal.
pub struct Subject<'a> {
    /// The original.
    pub before: &'a Program,
    /// What came of it.
    pub after: &'a Program,
    /// What a function takes, as the model describes it.
    pub inputs: &'a dyn Fn(&str) -> Vec<Input>,
    /// By how much the error under 16-bit arithmetic may grow: function, output.
    pub growth: &'a dyn Fn(&str, &str) -> f64,
    /// Whether rules rounded constants anew, or approximate ones fired: the difference in fp64 is then held to what
    /// is allowed under 16-bit arithmetic.
    pub rounded: bool,
    /// How the interfaces differ, where they do.
    pub bridge: Option<&'a dyn Bridge>,
}

impl Subject<'_> {
    /// The inputs of one of the two programs, from those of a case.
    pub(crate) fn enter(&self, p: &Program, inputs: &[(Str, Value)]) -> Result<Vec<(Str, Value)>, EvalError> {
        match self.bridge {
            None => Ok(inputs.to_vec()),
            Some(bridge) if std::ptr::eq(p, self.before) => bridge.before(inputs),
            Some(bridge) => bridge.after(inputs),
        }
    }
}

/// What will be done, before it is done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Runs of a model.
    pub runs: usize,
    /// Operations of all runs together.
    pub operations: f64,
    /// About how long it takes.
    pub seconds: f64,
    /// About how many bytes it takes beside the weights.
    pub memory: u64,
    /// What is left out because it would take longer or more memory than allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<String>,
}

/// What is going on.
#[derive(Debug)]
pub enum Event<'a> {
    /// What will be done.
    Plan(&'a Plan),
    /// A case begins: its words, how many are done, how many there are.
    Case(&'a str, usize, usize),
}

/// What came of comparing two programs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelReport {
    /// What was planned, by function.
    pub plans: Vec<(String, Plan)>,
    /// What was tried, in words.
    pub cases: Vec<String>,
    /// What was inferred or chosen about the inputs.
    pub inputs: Vec<String>,
    /// Each output's worst case for each arithmetic.
    pub outputs: Vec<OutputReport>,
    /// Cases that the original itself does not run on, with why.
    pub not_run: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
    /// A case that shows a difference.
    #[serde(skip)]
    pub failure: Option<Failure>,
}

impl ModelReport {
    /// Whether anything was compared.
    pub fn has_compared(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// The outputs that are wrong.
    pub fn wrong(&self) -> impl Iterator<Item = &OutputReport> {
        self.outputs.iter().filter(|o| o.wrong.is_some())
    }
}

/// A case on which two programs differ.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The inputs.
    pub case: Case,
    /// The arithmetic under which they differ.
    pub arithmetic: Arithmetic,
    /// The output, and what is wrong with it.
    pub what: String,
}

/// Operations a second that are counted on: the larger kernels do more.
const RATE: f64 = 1.5e9;

/// Compares two programs, function by function. `given` are inputs of the user's, which stand in for random ones.
///
/// ```
/// use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType};
/// use anewrite_tensor::DType;
/// use anewrite_verify::{ModelOptions, Subject, verify};
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let ty = TensorType::fixed(DType::F16, [3]);
/// let x = p.add_arg(body, "x", ty.clone().into());
/// let op = p.add_op(Place::End(body), NewOp::new("identity").operand("x", x).result("y", ty));
/// p.add_output(body, p.op(op).results[0]);
///
/// let subject = Subject {
///     before: &p,
///     after: &p,
///     inputs: &|_| Vec::new(),
///     growth: &|_, _| 1.0,
///     rounded: false,
///     bridge: None,
/// };
/// let report = verify(&subject, &ModelOptions::default(), &[], &mut |_| ());
/// assert!(report.failure.is_none());
/// ```
pub fn verify(
    subject: &Subject<'_>,
    options: &ModelOptions,
    given: &[Case],
    progress: &mut dyn FnMut(Event<'_>),
) -> ModelReport {
    let start = Instant::now();
    let mut report = ModelReport::default();
    let inferred = infer(subject.before, &*dialect(subject.before));
    let functions: Vec<(Str, BlockId)> =
        subject.before.functions().map(|(_, f)| (f.name.clone(), f.body)).collect();
    let share = options.seconds.unwrap_or(options.mode.seconds()) / functions.len().max(1) as f64;
    for (name, body) in functions {
        let side = Function { subject, options, inferred: &inferred, name: &name, body, seconds: share };
        side.verify(given, &mut report, progress);
    }
    report.seconds = start.elapsed().as_secs_f64();
    report
}

/// The cases that [`verify`] would try where time is no limit.
pub fn cases(subject: &Subject<'_>, options: &ModelOptions) -> Vec<Case> {
    let inferred = infer(subject.before, &*dialect(subject.before));
    let mut out = Vec::new();
    for (_, f) in subject.before.functions() {
        let side = Function {
            subject,
            options,
            inferred: &inferred,
            name: &f.name,
            body: f.body,
            seconds: f64::INFINITY,
        };
        let inputs = side.inputs();
        out.extend(side.cases(&inputs).make(&mut Vec::new(), &mut Vec::new()).0);
    }
    out
}

/// Whether the programs differ on a case: what is wrong.
pub fn recheck(subject: &Subject<'_>, options: &ModelOptions, failure: &Failure) -> Option<String> {
    let inferred = Inferred::default();
    let found = subject.before.functions().find(|(_, f)| *f.name == *failure.case.function);
    let (_, f) = found?;
    let side = Function {
        subject,
        options,
        inferred: &inferred,
        name: &f.name,
        body: f.body,
        seconds: f64::INFINITY,
    };
    let sixteen = failure.arithmetic != Arithmetic::Fp64;
    match side.compare(&failure.case, sixteen) {
        Ok(reports) => reports.into_iter().find_map(|r| Some(format!("{}: {}", r.name, r.wrong?))),
        Err(Trouble::Original(_)) => None,
        Err(Trouble::Rewritten(e)) => Some(e.to_string()),
    }
}

pub(crate) fn dialect(p: &Program) -> Box<dyn Dialect> {
    match p.dialect {
        DialectId::Mil => Box::new(Mil),
        DialectId::Nn => Box::new(Nn::of(p)),
    }
}

struct Function<'a> {
    subject: &'a Subject<'a>,
    options: &'a ModelOptions,
    inferred: &'a Inferred,
    name: &'a Str,
    body: BlockId,
    seconds: f64,
}

/// What one program gave in a case, step after step.
struct Ran {
    steps: Vec<Vec<(Str, Value)>>,
    decided: Vec<Vec<Option<Decided>>>,
}

impl Function<'_> {
    fn verify(&self, given: &[Case], report: &mut ModelReport, progress: &mut dyn FnMut(Event<'_>)) {
        let inputs = self.inputs();
        let cases = self.cases(&inputs);
        let own: Vec<Case> = given.iter().filter(|c| *c.function == **self.name).cloned().collect();
        let mut notes = Vec::new();
        let (mut list, work) = if own.is_empty() {
            cases.make(&mut notes, &mut report.not_run)
        } else {
            let work = cases.work_of(&own);
            (own, work)
        };
        let seconds = |c: &Case, work: f64| {
            let runs = if c.sixteen { 4.0 } else { 2.0 };
            runs * work * c.steps.len() as f64 / RATE
        };
        let mut plan = Plan::default();
        let mut kept = 0;
        for (c, &w) in list.iter().zip(&work) {
            let more = seconds(c, w);
            if kept > 0 && plan.seconds + more > self.seconds {
                continue;
            }
            plan.seconds += more;
            plan.operations += more * RATE;
            plan.runs += (if c.sixteen { 4 } else { 2 }) * c.steps.len();
            plan.memory = plan.memory.max(cases.memory_of(c));
            kept += 1;
        }
        if kept < list.len() {
            plan.sampled =
                Some(format!("{kept} of {} cases, to stay within {:.0} s", list.len(), self.seconds));
            let mut spent = 0.0;
            let mut first = true;
            let mut all = list.iter().zip(&work).map(|(c, &w)| seconds(c, w)).collect::<Vec<_>>().into_iter();
            list.retain(|_| {
                let more = all.next().unwrap_or(0.0);
                let keep = first || spent + more <= self.seconds;
                if keep {
                    spent += more;
                    first = false;
                }
                keep
            });
        }
        progress(Event::Plan(&plan));
        report.plans.push((self.name.to_string(), plan));
        for note in notes {
            if !report.inputs.contains(&note) {
                report.inputs.push(note);
            }
        }
        let (start, total) = (Instant::now(), list.len());
        for (done, case) in list.into_iter().enumerate() {
            if done > 0 && start.elapsed().as_secs_f64() > self.seconds {
                if let Some((_, plan)) = report.plans.last_mut() {
                    plan.sampled =
                        Some(format!("{done} of {total} cases, to stay within {:.0} s", self.seconds));
                }
                break;
            }
            progress(Event::Case(&case.label, done, total));
            match self.compare(&case, case.sixteen) {
                Ok(outputs) => {
                    report.cases.push(case.label.clone());
                    let wrong = outputs.iter().find(|o| o.wrong.is_some());
                    if let (Some(o), None) = (wrong, &report.failure) {
                        let arithmetic = Arithmetic::from_name(o.arithmetic).unwrap_or_default();
                        let what = format!("{}: {}", o.name, o.wrong.as_deref().unwrap_or_default());
                        report.failure = Some(Failure { case: case.clone(), arithmetic, what });
                    }
                    self.keep(outputs, report);
                }
                Err(Trouble::Original(e)) => report.not_run.push(format!("{}: {e}", case.label)),
                Err(Trouble::Rewritten(e)) if is_unknown(&e) => {
                    report.not_run.push(format!("{}: the rewritten model: {e}", case.label));
                }
                Err(Trouble::Rewritten(e)) => {
                    let what = format!("the rewritten model does not run where the original does: {e}");
                    report.failure = Some(Failure { case, arithmetic: Arithmetic::Fp64, what });
                    return;
                }
            }
        }
    }

    /// What the function takes: as the model describes it, else as the program does.
    fn inputs(&self) -> Vec<Input> {
        let p = self.subject.before;
        let args = &p.block(self.body).args;
        let mut inputs = (self.subject.inputs)(self.name);
        for &arg in args {
            let v = p.value(arg);
            if matches!(v.ty, Type::Tensor(_)) && !inputs.iter().any(|i| *i.name == *v.name) {
                inputs.push(Input { name: v.name.to_string(), ..Input::default() });
            }
        }
        inputs.retain(|i| args.iter().any(|&v| *p.value(v).name == *i.name));
        inputs
    }

    fn cases<'c>(&'c self, inputs: &'c [Input]) -> Cases<'c> {
        let p = self.subject.before;
        let has_state = p.block(self.body).args.iter().any(|&v| matches!(p.ty(v), Type::State(_)));
        Cases {
            program: p,
            body: self.body,
            inferred: self.inferred,
            inputs,
            function: self.name,
            steps: if has_state { 3 } else { 1 },
            options: self.options,
        }
    }

    /// Keeps the worst report of each output.
    fn keep(&self, outputs: Vec<OutputReport>, report: &mut ModelReport) {
        for o in outputs {
            match report.outputs.iter_mut().find(|r| r.name == o.name && r.arithmetic == o.arithmetic) {
                Some(known) => *known = known.clone().worse(o),
                None => report.outputs.push(o),
            }
        }
    }

    /// Runs both programs on a case and compares each output of each step.
    fn compare(&self, case: &Case, sixteen: bool) -> Result<Vec<OutputReport>, Trouble> {
        let sixteen = sixteen && self.options.sixteen;
        let (before, after) = (self.subject.before, self.subject.after);
        let old_decisions = self.decisions(before);
        let new_decisions = self.decisions(after);
        let wide = sixteen || self.subject.rounded;
        let old = self.run(before, case, Arithmetic::Fp64, &old_decisions).map_err(Trouble::Original)?;
        let old16 = match wide {
            true => {
                Some(self.run(before, case, Arithmetic::ANE16, &old_decisions).map_err(Trouble::Original)?)
            }
            false => None,
        };
        let new = self.run(after, case, Arithmetic::Fp64, &new_decisions).map_err(Trouble::Rewritten)?;
        let mut out = Vec::new();
        self.steps(
            case,
            &old,
            old16.as_ref(),
            &new,
            (&old_decisions, &new_decisions),
            Arithmetic::Fp64,
            &mut out,
        );
        if sixteen {
            let new16 =
                self.run(after, case, Arithmetic::ANE16, &new_decisions).map_err(Trouble::Rewritten)?;
            let decisions = (old_decisions.as_slice(), new_decisions.as_slice());
            self.steps(case, &old, old16.as_ref(), &new16, decisions, Arithmetic::ANE16, &mut out);
        }
        Ok(out)
    }

    fn decisions(&self, p: &Program) -> Vec<Decision> {
        let body = p.functions().find(|(_, f)| *f.name == **self.name).map(|(_, f)| f.body);
        body.map_or_else(Vec::new, |b| decisions(p, &p.block(b).outputs))
    }

    #[allow(clippy::too_many_arguments)]
    fn steps(
        &self,
        case: &Case,
        old: &Ran,
        old16: Option<&Ran>,
        new: &Ran,
        decisions: (&[Decision], &[Decision]),
        arithmetic: Arithmetic,
        out: &mut Vec<OutputReport>,
    ) {
        for (step, values) in old.steps.iter().enumerate() {
            let at = |ran: &'_ Ran| ran.steps.get(step).cloned().unwrap_or_default();
            let (values16, others) = (old16.map(at), at(new));
            for (name, value) in values {
                let find = |list: &[(Str, Value)], name: &str| {
                    list.iter().find(|(n, _)| **n == *name).map(|(_, v)| v.clone())
                };
                let bridge = self.subject.bridge;
                let renamed = bridge.map_or(&**name, |b| b.output(name));
                let Some(other) = find(&others, renamed) else {
                    out.push(missing(name, &case.label, arithmetic));
                    continue;
                };
                let other = if bridge.is_some() { like(other, value) } else { other };
                let value16 = values16.as_deref().and_then(|list| find(list, name));
                let decided = |list: &[Decision], name: &str, ran: Option<&'_ Ran>| {
                    let i = list.iter().position(|d| *d.output == *name)?;
                    ran?.decided.get(step)?.get(i)?.clone()
                };
                let three = [
                    decided(decisions.0, name, Some(old)),
                    decided(decisions.0, name, old16),
                    decided(decisions.1, renamed, Some(new)),
                ];
                let has = three[0].is_some() && three[2].is_some();
                let given = Given {
                    name,
                    case: &case.label,
                    old: value,
                    old16: value16.as_ref(),
                    new: &other,
                    decided: has.then(|| [three[0].as_ref(), three[1].as_ref(), three[2].as_ref()]),
                };
                let growth = (self.subject.growth)(self.name, name).max(LEAST_GROWTH);
                let limits = Limits { share: self.options.share, rounded: self.subject.rounded, growth };
                out.push(if arithmetic == Arithmetic::Fp64 {
                    given.in_64(&limits)
                } else {
                    given.in_16(&limits)
                });
            }
        }
    }

    fn run(
        &self,
        p: &Program,
        case: &Case,
        arithmetic: Arithmetic,
        decisions: &[Decision],
    ) -> Result<Ran, EvalError> {
        let options = Options { arithmetic, memory: self.options.memory, seed: self.options.seed };
        let mut evaluator = Evaluator::new(p, options);
        let mut ran = Ran { steps: Vec::new(), decided: Vec::new() };
        for step in &case.steps {
            let mut watching = Watching::new(p, decisions);
            let out = evaluator.watch(self.name, self.subject.enter(p, step)?, &mut watching)?;
            let mut values = out.values;
            let mut states: Vec<(Str, Value)> = evaluator
                .states()
                .map(|(n, s)| (Str::from(format!("state {n}")), Value::Tensor(s.get())))
                .collect();
            states.sort_by(|a, b| a.0.cmp(&b.0));
            values.extend(states);
            ran.steps.push(values);
            ran.decided.push(watching.seen);
        }
        Ok(ran)
    }
}

fn missing(name: &str, case: &str, arithmetic: Arithmetic) -> OutputReport {
    OutputReport {
        name: name.to_owned(),
        arithmetic: arithmetic.name(),
        case: case.to_owned(),
        difference: crate::Difference::default(),
        original: None,
        allowed: 0.0,
        decided: false,
        near_ties: 0,
        wrong: Some("the rewritten model does not give it".into()),
    }
}

/// Whether a run ended at an op that is not evaluated at all.
fn is_unknown(e: &EvalError) -> bool {
    match e {
        EvalError::Unsupported(_) => true,
        EvalError::At { source, .. } => is_unknown(source),
        _ => false,
    }
}

enum Trouble {
    Original(EvalError),
    Rewritten(EvalError),
}

/// Operations of a function in one run.
pub(crate) fn work(p: &Program, body: BlockId, extents: &dyn Fn(ValueId) -> Option<Vec<u64>>) -> f64 {
    p.ops(body).map(|op| cost::work(p, op, extents)).sum()
}

/// The ops of a function's body, in order.
pub(crate) fn body_ops(p: &Program, body: BlockId) -> Vec<OpId> {
    p.ops(body).collect()
}

//! Judging patches one by one, at the grade of their rule.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use anewrite_interp::{Arithmetic, Array, EvalError, Evaluator, Options, Value};
use anewrite_ir::{Attr, Dialect, DialectId, Program, Str, ValueId};
use anewrite_nn::Mapping;
use anewrite_rewrite::{Assumption, Claim, Grade, Oracle, effect};
use anewrite_tensor::DType;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::copy::{Copier, PART};
use crate::cost::work;
use crate::domain::{self, Domain};
use crate::extents::{CHOICES, Choice, Numbers, has_symbols};
use crate::fill::{self, Fill};
use crate::key::{Digests, Key, key};
use crate::pairs::{self, Judge};
use crate::region::{Cut, Pair, Region, Side, pairs as pairs_of, runs_apart};
use crate::rounding;

/// How patches are verified.
#[derive(Clone, Copy, Debug)]
pub struct PatchOptions {
    /// Where the random numbers start.
    pub seed: u64,
    /// The most bytes that a run may use.
    pub memory: u64,
    /// Operations to spend on one patch; what costs more is tried on fewer inputs, but on two at least.
    pub work: f64,
    /// Whether patches that are not equal are left out of the rewrite, and noted; else they end it.
    pub leave_out: bool,
}

impl Default for PatchOptions {
    fn default() -> Self {
        PatchOptions { seed: 0, memory: 4 << 30, work: 2e9, leave_out: false }
    }
}

/// What came of verifying the patches of a rewrite.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PatchSummary {
    /// Patches that were offered.
    pub patches: usize,
    /// Those that had to be run; the others equal one of them in rule, shapes, attributes and constants.
    pub distinct: usize,
    /// Pairs of runs, before and after.
    pub runs: usize,
    /// Patches that are only equal where they stand, given what is computed before them.
    pub in_context: usize,
    /// Patches that differ on data that their rule assumes away.
    pub beyond: usize,
    /// Patches with constants that were computed and rounded.
    pub rounded: usize,
    /// Patches that were tried on fewer inputs because of their cost.
    pub sampled: usize,
    /// Patches that are equal at the grade of their rule, by rule.
    pub equal: BTreeMap<String, usize>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Patches that could not be run apart from the model, with why; the comparison of whole models covers them.
    pub unchecked: Vec<Note>,
    /// Patches that are not equal and were left out.
    pub left_out: Vec<Note>,
}

/// Something about a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The rule.
    pub code: String,
    /// The value that the patch was about.
    pub at: String,
    /// What is to be said.
    pub what: String,
}

/// Judges each patch before it is put into the program: the ops that it replaces and those that it puts in are run on
/// the same inputs, and compared wherever the patch says that they agree.
///
/// Inputs are chosen to tell programs apart: several distributions, zeros of both signs, subnormal and extreme
/// numbers, infinities and NaN, integers over their domains, two settings of unknown extents. `bit-exact` rules are
/// held to every bit, `exact` ones to [`EXACT`](crate::EXACT) of scale in fp64, and those that round constants anew
/// to that before the rounding and to what the rounding can do with it.
///
/// ```
/// use anewrite_verify::{PatchOptions, PatchOracle};
/// let oracle = PatchOracle::new(PatchOptions::default());
/// assert_eq!(oracle.summary().patches, 0);
/// ```
pub struct PatchOracle {
    options: PatchOptions,
    digests: Digests,
    /// The definitions of a network's layers.
    layers: OnceLock<anewrite_nn::Nn>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    verdicts: FxHashMap<Key, Verdict>,
    summary: PatchSummary,
    mapping: Option<Mapping>,
}

/// What is known of a patch.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Equal,
    Unchecked(String),
    Different(String),
}

impl PatchOracle {
    /// An oracle for the patches of one program.
    pub fn new(options: PatchOptions) -> PatchOracle {
        PatchOracle { options, digests: Digests::default(), layers: OnceLock::new(), state: Mutex::default() }
    }

    /// What came of it so far.
    pub fn summary(&self) -> PatchSummary {
        self.with(|s| s.summary.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        match self.state.lock() {
            Ok(mut s) => f(&mut s),
            Err(poisoned) => f(&mut poisoned.into_inner()),
        }
    }

    /// The mapping of a network's arrays, which rewriting does not change.
    fn mapping(&self, p: &Program) -> Mapping {
        self.with(|s| *s.mapping.get_or_insert_with(|| Mapping::of(p)))
    }

    fn verdict(&self, claim: &Claim<'_>) -> Verdict {
        let pairs = pairs_of(claim.program, claim.patch);
        let open: Vec<Pair> = pairs.into_iter().filter(|pair| !is_settled(claim, pair)).collect();
        if open.is_empty() {
            return Verdict::Equal;
        }
        let dialect: &dyn Dialect = match claim.program.dialect {
            DialectId::Mil => &anewrite_ir::mil::Mil,
            DialectId::Nn => self.layers.get_or_init(|| anewrite_nn::Nn::of(claim.program)),
        };
        let runs = |op| {
            let e = effect(claim.program, dialect, op);
            runs_apart(claim.program, e, op)
                && !claim.program.op(op).results.iter().any(|&r| claim.program.value(r).pinned)
        };
        let cut = Cut { program: claim.program, facts: claim.facts, runs: &runs };
        let region = cut.region(&open, claim.patch, 0);
        if region.is_cut_short {
            return Verdict::Unchecked("it spans too many ops".into());
        }
        let key = key(claim, &region, &open, &self.digests);
        if let Some(known) = self.with(|s| s.verdicts.get(&key).cloned()) {
            return known;
        }
        self.with(|s| s.summary.distinct += 1);
        let mut verdict = self.judge(claim, &region, &open);
        if let Verdict::Different(_) = verdict {
            // A rule may count on what stands before: that an input was made from truth values, that it is the same
            // as another. The region grows until that is in it.
            for more in [1, 2, 4, 8] {
                let wider = cut.region(&open, claim.patch, more);
                if wider.is_cut_short || wider.ops.len() == region.ops.len() {
                    break;
                }
                if matches!(self.judge(claim, &wider, &open), Verdict::Equal) {
                    self.with(|s| s.summary.in_context += 1);
                    verdict = Verdict::Equal;
                    break;
                }
            }
        }
        self.with(|s| s.verdicts.insert(key, verdict.clone()));
        verdict
    }

    fn judge(&self, claim: &Claim<'_>, region: &Region, pairs: &[Pair]) -> Verdict {
        let opset = claim.program.functions().next().map_or("", |(_, f)| &f.opset);
        let mut before = Copier::new(claim.program, opset);
        let mut args: Vec<(ValueId, Str)> = Vec::new();
        for &v in &region.inputs {
            let ty = claim.facts.ty(claim.program, v).clone();
            if ty.tensor().is_none_or(|t| t.shape.is_none() || t.dtype == DType::String) {
                return Verdict::Unchecked(format!("{} is {ty}", claim.program.value(v).name));
            }
            args.push((v, before.argument(v, Some(ty))));
        }
        region.ops.iter().for_each(|&op| before.op(op));
        region.wanted.iter().for_each(|&v| before.output(v));
        let mut after = rounding::Bodies::of(claim.patch, opset);
        for pair in pairs {
            if let Side::Patch(v) = pair.new {
                after.output(v);
            }
        }
        let exact = claim.program.dialect == DialectId::Nn && self.mapping(claim.program) == Mapping::Exact;
        if exact {
            let attr = (Mapping::ATTR.into(), Attr::Enum("EXACT_ARRAY_MAPPING".into()));
            before.program.attrs.push(attr.clone());
            after.each(|p| p.attrs.push(attr.clone()));
        }
        let trial =
            Trial { oracle: self, claim, region, pairs, before: &before.program, after: &after, args: &args };
        trial.run()
    }
}

impl Oracle for PatchOracle {
    fn equal(&self, claim: &Claim<'_>) -> Result<(), String> {
        let start = Instant::now();
        let verdict = self.verdict(claim);
        let at = || {
            let first = claim.patch.replaced.first().map(|(old, _)| *old);
            let op = claim.patch.anchor.and_then(|op| claim.program.op(op).result());
            first.or(op).map_or_else(|| "the program".into(), |v| claim.program.value(v).name.to_string())
        };
        let note = |what: String| Note { code: claim.rule.code.to_string(), at: at(), what };
        self.with(|s| {
            s.summary.patches += 1;
            s.summary.seconds += start.elapsed().as_secs_f64();
            s.summary.rounded += usize::from(!claim.patch.unrounded.is_empty());
            match verdict {
                Verdict::Equal => {
                    *s.summary.equal.entry(claim.rule.code.to_string()).or_default() += 1;
                    Ok(())
                }
                Verdict::Unchecked(why) => {
                    s.summary.unchecked.push(note(why));
                    Ok(())
                }
                Verdict::Different(how) => {
                    if self.options.leave_out {
                        let note = note(how.clone());
                        if !s.summary.left_out.contains(&note) {
                            s.summary.left_out.push(note);
                        }
                    }
                    Err(how)
                }
            }
        })
    }

    fn leaves_out(&self) -> bool {
        self.options.leave_out
    }
}

/// Two constants of the same bits need no run, nor does a value that stays itself.
fn is_settled(claim: &Claim<'_>, pair: &Pair) -> bool {
    let outer = match pair.new {
        Side::Program(v) => Some(v),
        Side::Patch(inner) => claim.patch.taps.iter().find(|(v, _)| v.id() == inner).map(|&(_, outer)| outer),
    };
    if outer == Some(pair.old) && pair.map == anewrite_rewrite::IndexMap::Same {
        return true;
    }
    let constant = |v| claim.program.constant(v).map(|c| &c.tensor);
    let new = match pair.new {
        Side::Program(v) => constant(v),
        Side::Patch(v) => claim.patch.body.constant(v).map(|c| &c.tensor),
    };
    let same = constant(pair.old).zip(new).is_some_and(|(a, b)| a.same_bits(b));
    same && pair.map == anewrite_rewrite::IndexMap::Same
}

/// The two sides of a patch, about to be run.
struct Trial<'a> {
    oracle: &'a PatchOracle,
    claim: &'a Claim<'a>,
    region: &'a Region,
    pairs: &'a [Pair],
    before: &'a Program,
    after: &'a rounding::Bodies,
    args: &'a [(ValueId, Str)],
}

/// Values by the identities of the program and of the patch's body.
pub(crate) struct Ran {
    pub(crate) old: FxHashMap<ValueId, Value>,
    pub(crate) new: FxHashMap<ValueId, Value>,
}

impl Trial<'_> {
    fn run(&self) -> Verdict {
        let (p, facts) = (self.claim.program, self.claim.facts);
        let results = self.region.ops.iter().flat_map(|&op| p.op(op).results.iter());
        let flexible = self.region.inputs.iter().chain(results).any(|&v| has_symbols(p, facts, v));
        let wanted = if flexible { 2 } else { 1 };
        let (mut tried, mut trouble) = (0, None);
        for choice in CHOICES {
            if tried == wanted {
                break;
            }
            let numbers = Numbers::new(p, facts, self.claim.dims, flexible, choice);
            match self.with_numbers(&numbers, flexible.then_some(choice)) {
                Ok(Verdict::Equal) => tried += 1,
                Ok(other) => return other,
                Err(e) => trouble = Some(e),
            }
            if !flexible {
                break;
            }
        }
        match trouble {
            Some(e) if tried == 0 => Verdict::Unchecked(e),
            _ => Verdict::Equal,
        }
    }

    /// The verdict over all fills; an error where the original does not run with these numbers.
    fn with_numbers(&self, numbers: &Numbers<'_>, choice: Option<Choice>) -> Result<Verdict, String> {
        let patch = self.claim.patch;
        let p = self.claim.program;
        let extents = |v| numbers.extents(v).or_else(|| constant_extents(p, v));
        let inner = numbers.of(&patch.body, &patch.facts);
        let inner_extents = |v| inner.extents(v).or_else(|| constant_extents(&patch.body, v));
        let mut domains = domain::infer(p, &self.region.ops, &extents);
        let body: Vec<_> = patch.body.all_ops().collect();
        for (v, d) in domain::infer(&patch.body, &body, &inner_extents) {
            if let Some(&(_, outer)) = patch.taps.iter().find(|(tap, _)| tap.id() == v) {
                domains.entry(outer).or_insert(d);
            }
        }
        let old: f64 = self.region.ops.iter().map(|&op| work(p, op, &extents)).sum();
        let new: f64 = body.iter().map(|&op| work(&patch.body, op, &inner_extents)).sum();
        let fills = self.fills(old + new);
        let mut first_error = None;
        let mut ran = 0;
        for (n, &fill) in fills.iter().enumerate() {
            let inputs = self.inputs(numbers, &domains, fill, n as u64)?;
            for arithmetic in self.arithmetics(fill) {
                match self.compare(&inputs, fill, arithmetic, choice) {
                    Ok(Verdict::Equal) => ran += 1,
                    Ok(other) => return Ok(other),
                    Err(e) => first_error = Some(e),
                }
            }
        }
        match first_error {
            Some(e) if ran == 0 => Err(e),
            _ => {
                self.beyond(numbers, &domains, choice);
                Ok(Verdict::Equal)
            }
        }
    }

    /// Tries data that the rule assumes away: a difference there is no fault, and is counted.
    fn beyond(&self, numbers: &Numbers<'_>, domains: &FxHashMap<ValueId, Domain>, choice: Option<Choice>) {
        for assumption in self.claim.rule.assumptions {
            let (fill, range) = match *assumption {
                Assumption::Finite => (Fill::Infinite, None),
                Assumption::Range { low, high } => {
                    let span = high - low;
                    (
                        Fill::Normal,
                        Some(Domain::range(low - span, high + span, "beyond what the rule assumes")),
                    )
                }
            };
            let inputs = self.inputs_in(numbers, domains, fill, 0, range.as_ref());
            let found = inputs.map(|i| self.compare(&i, fill, Arithmetic::Fp64, choice));
            if let Ok(Ok(Verdict::Different(_))) = found {
                self.oracle.with(|s| s.summary.beyond += 1);
                return;
            }
        }
    }

    fn fills(&self, work: f64) -> Vec<Fill> {
        let assumed = self.claim.rule.assumptions;
        let finite = assumed.iter().any(|a| matches!(a, Assumption::Finite | Assumption::Range { .. }));
        let mut fills: Vec<Fill> = Fill::ALL.to_vec();
        fills.retain(|&f| !(finite && f == Fill::Infinite));
        let affordable = (self.oracle.options.work / work.max(1.0)) as usize;
        if affordable < fills.len() {
            self.oracle.with(|s| s.summary.sampled += 1);
            fills.truncate(affordable.max(2));
        }
        fills
    }

    fn arithmetics(&self, fill: Fill) -> Vec<Arithmetic> {
        let bits = self.claim.rule.grade == Grade::BitExact && matches!(fill, Fill::Normal | Fill::Extreme);
        if bits { vec![Arithmetic::Fp64, Arithmetic::ANE16] } else { vec![Arithmetic::Fp64] }
    }

    fn inputs(
        &self,
        numbers: &Numbers<'_>,
        domains: &FxHashMap<ValueId, Domain>,
        fill: Fill,
        n: u64,
    ) -> Result<Vec<(Str, Value)>, String> {
        let range = self.claim.rule.assumptions.iter().find_map(|a| match *a {
            Assumption::Range { low, high } => Some(Domain::range(low, high, "assumed by the rule")),
            Assumption::Finite => None,
        });
        self.inputs_in(numbers, domains, fill, n, range.as_ref())
    }

    fn inputs_in(
        &self,
        numbers: &Numbers<'_>,
        domains: &FxHashMap<ValueId, Domain>,
        fill: Fill,
        n: u64,
        range: Option<&Domain>,
    ) -> Result<Vec<(Str, Value)>, String> {
        let (p, facts) = (self.claim.program, self.claim.facts);
        let seed = self.oracle.options.seed.wrapping_add(n).wrapping_mul(0x9e37_79b9);
        let mut rng = StdRng::seed_from_u64(seed);
        let most = self.oracle.options.memory / 8;
        let mut out = Vec::with_capacity(self.args.len());
        for (v, name) in self.args {
            let dims = numbers.extents(*v);
            let dims = dims.ok_or_else(|| format!("the extents of {name} cannot be chosen"))?;
            let dtype = facts.tensor(p, *v).map_or(DType::F32, |t| t.dtype);
            let array = match numbers.ints(*v) {
                Some(known) if dtype.is_int() => Array::new::<i64>(dtype, dims, known),
                _ => {
                    let float = range.filter(|_| dtype.is_float());
                    fill::array(&mut rng, dtype, &dims, domains.get(v).or(float), fill, most)
                }
            };
            out.push((name.clone(), array.map_err(|e| e.to_string())?.into()));
        }
        Ok(out)
    }

    fn compare(
        &self,
        inputs: &[(Str, Value)],
        fill: Fill,
        arithmetic: Arithmetic,
        choice: Option<Choice>,
    ) -> Result<Verdict, String> {
        let options =
            Options { arithmetic, memory: self.oracle.options.memory, seed: self.oracle.options.seed };
        let run = Evaluator::new(self.before, options).run(PART, inputs.to_vec());
        let outputs = run.map_err(|e| e.to_string())?;
        self.oracle.with(|s| s.summary.runs += 1);
        let old: FxHashMap<ValueId, Value> =
            self.region.wanted.iter().copied().zip(outputs.values.into_iter().map(|(_, v)| v)).collect();
        let taps: FxHashMap<ValueId, Value> = (self.claim.patch.taps.iter())
            .filter_map(|&(inner, outer)| Some((inner.id(), old.get(&outer)?.clone())))
            .collect();
        let new = match self.after.run(&taps, options) {
            Ok(new) => new,
            Err(EvalError::At { source, .. }) if matches!(*source, EvalError::Unsupported(_)) => {
                return Ok(Verdict::Unchecked(source.to_string()));
            }
            Err(e) => {
                return Ok(Verdict::Different(format!(
                    "the replacement does not run where the original does: {e}"
                )));
            }
        };
        let mut judge = Judge { claim: self.claim, pairs: self.pairs, arithmetic, slack: Vec::new() };
        let slack = self.after.slack(&taps, options, &judge);
        let found = slack.and_then(|slack| {
            judge.slack = slack;
            pairs::judge(&judge, &Ran { old, new })
        });
        let found = found.and_then(|()| match self.after.rounds() {
            true => self.after.allow(&taps, options, &judge),
            false => Ok(()),
        });
        Ok(match found {
            Ok(()) => Verdict::Equal,
            Err(how) => {
                let with = choice.map_or_else(String::new, |c| format!(", unknown extents: {}", c.name()));
                Verdict::Different(format!("{how} (inputs: {}; {}{with})", fill.name(), arithmetic.name()))
            }
        })
    }
}

fn constant_extents(p: &Program, v: ValueId) -> Option<Vec<u64>> {
    p.constant(v).map(|c| c.tensor.dims().to_vec())
}

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::{SmallVec, smallvec};

use crate::expr::{Ctx, Expr, Facts, observe};
use crate::family::{Family, FamilySet};
use crate::os::OsRange;
use crate::table::{Confidence, Hazard, Route, Row, Status, tables};
use crate::target::Target;
use crate::verdict::{Eligibility, Note, Verdict, Why};
use crate::view::OpView;

/// Whether the engines of `target` can run an op, family by family.
///
/// This says what the engine can do, not what Core ML's planner would choose.
///
/// How rows combine, on one family:
/// 1. Rows that settle the op type (`yes`, or `no` without a `when`) are ranked: measured through Core ML
///    on this family; through Core ML on another; reported through Core ML; measured below Core ML;
///    reported below it; guesses. The highest rank that speaks decides; if it contradicts itself the
///    answer is unknown. A guess alone gives unknown.
/// 2. A restriction that is broken makes everything but a no a no, with the observed value; one that cannot be judged, or
///    rests on a guess, makes it unknown. A restriction seen only below Core ML makes it unknown too, and
///    is ignored where the op was measured through Core ML on this very family.
/// 3. What holds on some releases of the target's range only gives unknown.
///
/// ```
/// use anewrite_ane::{eligibility, Answer, SimpleOp, Target};
/// use anewrite_tensor::DType;
///
/// let conv = SimpleOp::new("conv")
///     .input("x", DType::F16, &[1, 64, 32, 32])
///     .constant("weight", DType::F16, &[64, 64, 1, 15])
///     .result(DType::F16, &[1, 64, 32, 18]);
/// assert_eq!(eligibility(&conv, &Target::parse("m4")?).answer(), Answer::Yes);
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
pub fn eligibility(op: &dyn OpView, target: &Target) -> Eligibility {
    let tables = tables();
    let facts = Facts::new(op);
    let ctx = Ctx::new(&facts, &tables.limits, Family::NoEngine);
    let mut cases: SmallVec<[(Family, Case); 8]> =
        target.families().iter().map(|f| (f, Case::default())).collect();
    for row in tables.rows_for(op.op()) {
        let mut findings: SmallVec<[(Family, Finding); 2]> = SmallVec::new();
        for (family, case) in cases.iter_mut().filter(|(family, _)| row.families.contains(*family)) {
            let like = row.like(*family);
            let finding = match findings.iter().find(|(f, _)| *f == like) {
                Some((_, finding)) => finding.clone(),
                None => {
                    let finding = find(&ctx.on(like), row, target.os());
                    findings.push((like, finding.clone()));
                    finding
                }
            };
            case.add(row, finding, || confidence(&ctx.on(*family), row));
        }
    }
    let verdicts = cases.into_iter().map(|(family, case)| (family, case.verdict(&ctx.on(family)))).collect();
    Eligibility { verdicts }
}

/// What a person should know of an op beside the verdict: hazards of value, of speed, of compile time.
/// For each the families of `target` that it concerns and, where a condition decided, what was seen.
pub fn notes(op: &dyn OpView, target: &Target) -> Vec<Note> {
    let tables = tables();
    let mut rows = tables.rows_for(op.op()).filter(|row| row.status == Status::Note).peekable();
    if rows.peek().is_none() {
        return Vec::new();
    }
    let facts = Facts::new(op);
    let mut notes = Vec::new();
    for row in rows {
        let mut note = Note { row, families: FamilySet::EMPTY, observed: None };
        for family in target.families().intersection(row.families).iter() {
            let ctx = Ctx::new(&facts, &tables.limits, family);
            if row.when.as_ref().is_none_or(|when| ctx.truth(when) == Ok(true)) {
                note.families.insert(family);
                note.observed =
                    note.observed.or_else(|| row.when.as_ref().and_then(|when| observe(&ctx, when, true)));
            }
        }
        if !note.families.is_empty() && row.os.is_none_or(|range| range.covers(target.os()) != Some(false)) {
            notes.push(note);
        }
    }
    notes
}

/// The hazards that an op is known to bring, for each row that warns of one the families of `target` concerned.
///
/// ```
/// use anewrite_ane::{Hazard, SimpleOp, Target, hazards};
/// use anewrite_tensor::DType;
///
/// let wide = SimpleOp::new("conv")
///     .input("x", DType::F16, &[1, 8, 1, 400])
///     .constant("weight", DType::F16, &[8, 8, 1, 17])
///     .result(DType::F16, &[1, 8, 1, 384]);
/// let found = hazards(&wide, &Target::parse("m4")?);
/// assert_eq!(found.iter().map(|(hazard, _)| *hazard).collect::<Vec<_>>(), [Hazard::Model]);
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
pub fn hazards(op: &dyn OpView, target: &Target) -> SmallVec<[(Hazard, FamilySet); 1]> {
    let tables = tables();
    let mut found = SmallVec::new();
    let mut rows = tables.rows_for(op.op()).filter_map(|row| Some((row, row.hazard?))).peekable();
    if rows.peek().is_none() {
        return found;
    }
    let facts = Facts::new(op);
    let ctx = Ctx::new(&facts, &tables.limits, Family::NoEngine);
    for (row, hazard) in rows {
        let speaks = row.os.is_none_or(|range| range.covers(target.os()) == Some(true));
        let broken = |family: &Family| match row.status {
            Status::Note => row.when.as_ref().is_none_or(|when| ctx.on(*family).truth(when) == Ok(true)),
            _ => matches!(find(&ctx.on(*family), row, target.os()), Finding::Broken),
        };
        let families: FamilySet =
            target.families().intersection(row.families).iter().filter(|f| speaks && broken(f)).collect();
        if !families.is_empty() {
            found.push((hazard, families));
        }
    }
    found
}

/// What a row comes to for one op on one family.
#[derive(Clone)]
enum Finding {
    /// The row does not speak here.
    Silent,
    /// It settles the op, or says that nobody can.
    Settled(Result<bool, Why>),
    /// A restriction is broken by what was seen.
    Broken,
    /// A restriction cannot be judged.
    Open(Why),
}

/// What all rows come to for one op on one family.
#[derive(Default)]
struct Case {
    base: Base,
    broken: Option<&'static Row>,
    open: SmallVec<[(Why, &'static Row, Option<bool>); 1]>,
}

impl Case {
    fn add(&mut self, row: &'static Row, finding: Finding, confidence: impl FnOnce() -> Confidence) {
        let weak = row.confidence == Confidence::Guess || row.route == Route::Direct;
        match finding {
            Finding::Silent => {}
            Finding::Settled(answer) => self.base.push(Settled { row, answer, confidence: confidence() }),
            Finding::Broken if weak => self.open.push((Why::Weak, row, Some(false))),
            Finding::Broken => self.broken = self.broken.or(Some(row)),
            Finding::Open(why) => self.open.push((why, row, None)),
        }
    }

    fn verdict(self, ctx: &Ctx<'_>) -> Verdict {
        let (base, yes) = match (self.base.settle(), self.broken) {
            (Ok(settled), _) => settled,
            // What no op may have is refused whatever is known of this one.
            (Err(_), Some(row)) => return refused(ctx, row),
            (Err((why, rows)), None) => return Verdict::Unknown { why, rows, leaning: None },
        };
        let Settled { row, confidence: known, .. } = base;
        if let Some(row) = self.broken.filter(|_| yes) {
            return refused(ctx, row);
        }
        if known == Confidence::Guess {
            return Verdict::Unknown { why: Why::Weak, rows: smallvec![row], leaning: Some(yes) };
        }
        if !yes {
            return Verdict::No { row, observed: None, confidence: known };
        }
        let measured = row.route == Route::CoreMl && known == Confidence::Measured;
        match self.open.into_iter().find(|(_, row, _)| row.route == Route::CoreMl || !measured) {
            Some((why, row, leaning)) => Verdict::Unknown { why, rows: smallvec![row], leaning },
            None => Verdict::Yes { row, confidence: known },
        }
    }
}

/// The refusal by a restriction that is broken.
fn refused(ctx: &Ctx<'_>, row: &'static Row) -> Verdict {
    let (expr, outcome) = condition(row);
    let observed = expr.and_then(|expr| observe(ctx, expr, outcome));
    Verdict::No { row, observed, confidence: confidence(ctx, row) }
}

/// How a row is known here: a measurement speaks for the families and the cases it was made on, and
/// is an extrapolation elsewhere. What was seen below Core ML is a report on Core ML at best.
fn confidence(ctx: &Ctx<'_>, row: &'static Row) -> Confidence {
    let covered = row.tested.as_ref().is_none_or(|tested| ctx.truth(tested) == Ok(true));
    match row.confidence_on(ctx.family) {
        known if row.route == Route::Direct => known.min(Confidence::Reported),
        Confidence::Measured if !covered => Confidence::Derived,
        known => known,
    }
}

/// The condition that makes a restriction broken, and the outcome that breaks it.
fn condition(row: &Row) -> (Option<&Expr>, bool) {
    match row.status {
        Status::Conditional => (row.needs.as_ref(), false),
        _ => (row.when.as_ref(), true),
    }
}

fn find(ctx: &Ctx<'_>, row: &'static Row, os: OsRange) -> Finding {
    let applies = row.os.map_or(Some(true), |range| range.covers(os));
    if applies == Some(false) {
        return Finding::Silent;
    }
    let open = |why: String| Finding::Open(Why::Open(Cow::Owned(why)));
    let finding = match row.when.as_ref().map_or(Ok(true), |when| ctx.truth(when)) {
        Ok(false) => return Finding::Silent,
        Err(cause) => open(cause.to_string()),
        Ok(true) => match row.status {
            Status::Note => return Finding::Silent,
            Status::Yes => Finding::Settled(Ok(true)),
            Status::No if row.when.is_none() => Finding::Settled(Ok(false)),
            Status::No => Finding::Broken,
            Status::Unknown if row.when.is_none() => {
                Finding::Settled(Err(Why::Open(Cow::Borrowed(&row.says))))
            }
            Status::Unknown => Finding::Open(Why::Open(Cow::Borrowed(&row.says))),
            Status::Conditional => match row.needs.as_ref().map_or(Ok(true), |needs| ctx.truth(needs)) {
                Ok(true) => return Finding::Silent,
                Ok(false) => Finding::Broken,
                Err(cause) => open(cause.to_string()),
            },
        },
    };
    match finding {
        finding if applies.is_some() => finding,
        Finding::Settled(_) => Finding::Settled(Err(Why::DependsOnOs)),
        _ => Finding::Open(Why::DependsOnOs),
    }
}

pub(crate) type Rows = SmallVec<[&'static Row; 2]>;

/// A row that settles an op, as it is known in this case.
pub(crate) struct Settled {
    pub(crate) row: &'static Row,
    pub(crate) answer: Result<bool, Why>,
    pub(crate) confidence: Confidence,
}

impl Settled {
    /// The weight of the evidence: what was seen below Core ML never outweighs what was seen through it.
    fn rank(&self) -> (bool, bool, Confidence) {
        (self.confidence > Confidence::Guess, self.row.route == Route::CoreMl, self.confidence)
    }
}

/// The rows that settle the op, those of the highest rank only.
#[derive(Default)]
pub(crate) struct Base {
    rows: SmallVec<[Settled; 2]>,
}

impl Base {
    pub(crate) fn push(&mut self, settled: Settled) {
        match self.rows.first().map(|first| settled.rank().cmp(&first.rank())) {
            Some(Ordering::Less) => return,
            Some(Ordering::Greater) => self.rows.clear(),
            Some(Ordering::Equal) | None => {}
        }
        self.rows.push(settled);
    }

    pub(crate) fn settle(mut self) -> Result<(Settled, bool), (Why, Rows)> {
        let Some(first) = self.rows.first() else { return Err((Why::NoEvidence, SmallVec::new())) };
        let why = match first.answer {
            Ok(yes) if self.rows.iter().all(|other| other.answer == first.answer) => {
                return Ok((self.rows.swap_remove(0), yes));
            }
            _ => self.rows.iter().find_map(|row| row.answer.clone().err()).unwrap_or(Why::Disputed),
        };
        Err((why, self.rows.iter().map(|settled| settled.row).collect()))
    }
}

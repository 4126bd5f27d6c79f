//! Runs rules over a program: in a fixed order, to a bounded fixpoint, each firing recorded.

mod transaction;

use std::collections::VecDeque;

use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::{self, Facts};
use anewrite_ir::verify::{Violations, verify};
use anewrite_ir::{Dialect, FuncId, OpId, Opset, Program, Side, Str, User, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use thiserror::Error;

use crate::apply::{Applied, apply};
use crate::matching::{Match, Miss, Pattern};
use crate::objective::{Claim, Objective, Oracle, Pricing, Scenario};
use crate::patch::{Patch, PatchBuilder};
use crate::record::{Firing, Record};
use crate::rule::{Code, Grade, Purpose, Rule};
use crate::sweep::SweepCx;

/// What the driver works with.
pub struct Context<'a> {
    /// The program's ops.
    pub dialect: &'a dyn Dialect,
    /// The rules, in the order in which they are tried.
    pub rules: &'a [&'a dyn Rule],
    /// What is better for the target.
    pub objective: &'a dyn Objective,
    /// Judges each patch before it is put in, if there is one.
    pub oracle: Option<&'a dyn Oracle>,
    /// Whether rules of grade [`Grade::Approximate`] may fire.
    pub approximate: bool,
    /// Rules that fire without asking the objective.
    pub forced: &'a [Code],
    /// The rule whose near misses are collected.
    pub why: Option<Code>,
    /// Whether the verifier looks at the program after each patch. That takes time linear in the program for each, and
    /// names the rule at fault: for tests, and for models on which a rewrite fails.
    pub verify: bool,
}

/// Why rewriting ends without a result.
#[derive(Clone, Debug, Error)]
pub enum DriverError {
    /// More patches were applied than any program of this size needs: rules undo each other.
    #[error("{applied} rewrites and no end: {rules:?} undo each other; leave one out with --ignore")]
    Diverged {
        /// Patches applied.
        applied: usize,
        /// The rules that fired last.
        rules: Vec<Code>,
    },
    /// A patch leaves a program that is not well-formed.
    #[error(
        "{code} at {op} breaks the program; leave it out with --ignore {code} and report this model: {violations}"
    )]
    Broken {
        /// The rule.
        code: Code,
        /// The op that it was about.
        op: Str,
        /// What does not hold any more.
        violations: Violations,
    },
    /// A patch does not compute what it replaces.
    #[error("{code} at {op} is wrong: {difference}; leave it out with --ignore {code} and report this model")]
    NotEqual {
        /// The rule.
        code: Code,
        /// The op that it was about.
        op: Str,
        /// What differs.
        difference: String,
    },
}

/// The nearest that a rule came to firing where it did not.
#[derive(Clone, Debug)]
pub struct NearMiss {
    /// The op.
    pub op: Str,
    /// The op's kind.
    pub kind: Str,
    /// The condition that failed, with the value seen.
    pub why: String,
    /// How many of the pattern's ops were found.
    pub depth: u32,
}

/// A rewritten program and how it came about.
#[derive(Debug)]
pub struct Outcome {
    /// The program.
    pub program: Program,
    /// Types and small integers of its values.
    pub facts: Facts,
    /// The symbols that the types are written in.
    pub dims: DimTable,
    /// What fired, in order, numbered from 1.
    pub firings: Vec<Firing>,
    /// Which firing made an op, as its number; 0 for ops of the source.
    pub provenance: Side<OpId, u32>,
    /// The best near misses of the rule asked about, the nearest first.
    pub near_misses: Vec<NearMiss>,
}

/// How many near misses are kept.
const KEPT_MISSES: usize = 8;

/// Rewrites a program until no rule fires.
///
/// # Errors
/// Where rules undo each other, or the oracle refuses a patch.
pub fn run(program: Program, cx: &Context<'_>) -> Result<Outcome, DriverError> {
    let mut d = Driver::new(program, cx);
    d.fixpoint()?;
    Ok(d.outcome())
}

/// As [`run`], but with only some of the firings: `keep` is asked with each one's number, from 1. A firing that
/// depends on one left out is left out too.
///
/// # Errors
/// As [`run`].
pub fn run_some(
    program: Program,
    cx: &Context<'_>,
    keep: impl Fn(u32) -> bool,
) -> Result<Outcome, DriverError> {
    let mut full = Driver::new(program.clone(), cx);
    full.fixpoint()?;
    let mut d = Driver::new(program, cx);
    d.dims = full.dims;
    d.replay(&full.records, keep);
    d.misses = full.misses;
    Ok(d.outcome())
}

fn count_violations(program: &Program, dialect: &dyn Dialect) -> usize {
    verify(program, dialect).err().map_or(0, |v| v.0.len())
}

struct Driver<'a> {
    cx: &'a Context<'a>,
    program: Program,
    facts: Facts,
    dims: DimTable,
    opsets: FxHashMap<FuncId, Opset>,
    patterns: Vec<Pattern>,
    /// Rules by the kind of their root, and those for any kind.
    by_kind: FxHashMap<&'static str, Vec<usize>>,
    any_kind: Vec<usize>,
    records: Vec<Record>,
    group: u32,
    /// Which record touched an op last, as its position plus one.
    stamps: Side<OpId, u32>,
    stamp_log: Vec<(OpId, u32)>,
    misses: Vec<NearMiss>,
    limit: usize,
    /// Constants that some op of the source uses.
    used: Vec<ValueId>,
    /// Violations of the source: not the rules' fault.
    violations: usize,
    /// What prices ops, and in which scenarios.
    pricing: Box<dyn Pricing + 'a>,
    scenarios: Vec<Scenario>,
    /// Whether a transaction is open.
    open: bool,
    /// Ops of the program.
    live: usize,
    /// Rules and ops that were weighed with all that stands around them, and were no gain.
    explored: FxHashSet<(Code, OpId)>,
}

impl<'a> Driver<'a> {
    fn new(mut program: Program, cx: &'a Context<'a>) -> Self {
        let inferred = infer::infer(&program, cx.dialect);
        let of = |name: &str| Opset::from_name(name).unwrap_or(Opset::Ios15);
        let opsets = program.functions().map(|(id, f)| (id, of(&f.opset))).collect();
        let mut by_kind: FxHashMap<&'static str, Vec<usize>> = FxHashMap::default();
        let mut any_kind = Vec::new();
        let patterns: Vec<Pattern> = cx.rules.iter().map(|r| r.pattern()).collect();
        for (i, pattern) in patterns.iter().enumerate() {
            if cx.rules[i].sweep().is_some() {
                continue;
            }
            if pattern.root_kinds().is_empty() {
                any_kind.push(i);
            }
            for kind in pattern.root_kinds() {
                by_kind.entry(kind).or_default().push(i);
            }
        }
        let live = program.op_count();
        let limit = live * 16 + 1000;
        let violations = if cx.verify { count_violations(&program, cx.dialect) } else { 0 };
        let constants = program.values().map(|(id, _)| id).filter(|&v| program.constant(v).is_some());
        let used = constants.filter(|&v| program.use_count(v) > 0).collect();
        program.mark();
        Driver {
            cx,
            program,
            facts: inferred.facts,
            dims: inferred.dims,
            opsets,
            patterns,
            by_kind,
            any_kind,
            records: Vec::new(),
            group: 1,
            stamps: Side::new(0),
            stamp_log: Vec::new(),
            misses: Vec::new(),
            limit,
            used,
            violations,
            pricing: cx.objective.pricing(),
            scenarios: cx.objective.scenarios(),
            open: false,
            live,
            explored: FxHashSet::default(),
        }
    }

    fn fixpoint(&mut self) -> Result<(), DriverError> {
        let mut all: VecDeque<OpId> = self.program.all_ops().collect();
        let mut rest: Vec<OpId> = all.iter().copied().collect();
        loop {
            let before = self.records.len();
            self.sweeps()?;
            all.extend(self.dirty_since(before));
            self.work(&mut all, true)?;
            let cleaned = self.dirty_since(before);
            rest.extend(cleaned);
            let mut queue: VecDeque<OpId> = std::mem::take(&mut rest).into();
            let fired_before = self.records.len();
            self.work(&mut queue, false)?;
            if self.records.len() == before {
                return Ok(());
            }
            let fired = self.dirty_since(fired_before);
            rest.extend(&fired);
            all.extend(fired);
        }
    }

    /// Ops that records from `from` on touched.
    fn dirty_since(&self, from: usize) -> Vec<OpId> {
        self.records[from..].iter().flat_map(|r| r.dirty.iter().copied()).collect()
    }

    /// Tries the clean rules, or the others, on each op of the queue and on what their firing touches.
    fn work(&mut self, queue: &mut VecDeque<OpId>, clean: bool) -> Result<(), DriverError> {
        let mut waiting: FxHashSet<OpId> = queue.iter().copied().collect();
        while let Some(op) = queue.pop_front() {
            if !waiting.remove(&op) || !self.program.is_alive(op) {
                continue;
            }
            let before = self.records.len();
            for rule in self.rules_for(op, clean) {
                if self.program.is_alive(op) {
                    self.try_rule(rule, op)?;
                }
            }
            for dirty in self.dirty_since(before) {
                if waiting.insert(dirty) {
                    queue.push_back(dirty);
                }
            }
        }
        Ok(())
    }

    fn rules_for(&self, op: OpId, clean: bool) -> Vec<usize> {
        let own = self.by_kind.get(&*self.program.op(op).kind).map_or(&[][..], Vec::as_slice);
        let mut rules: Vec<usize> = own.iter().chain(&self.any_kind).copied().collect();
        rules.retain(|&r| (self.cx.rules[r].info().purpose == Purpose::Clean) == clean);
        rules.sort_unstable();
        rules
    }

    fn sweeps(&mut self) -> Result<(), DriverError> {
        for rule in self.cx.rules {
            let Some(sweep) = rule.sweep() else { continue };
            let Driver { program, facts, dims, .. } = self;
            let mut cx = SweepCx { program, facts, dims, dialect: self.cx.dialect, patches: Vec::new() };
            sweep.sweep(&mut cx);
            for patch in cx.patches {
                self.put(*rule, patch, None)?;
            }
        }
        Ok(())
    }

    fn try_rule(&mut self, rule: usize, op: OpId) -> Result<(), DriverError> {
        match self.attempt(rule, op) {
            Ok(patch) => {
                let rule = self.cx.rules[rule];
                if let Some(miss) = self.put(rule, patch, Some(op))? {
                    self.miss(rule.info().code, op, miss);
                }
            }
            Err(miss) => self.miss(self.cx.rules[rule].info().code, op, miss),
        }
        Ok(())
    }

    /// Puts a patch in: at once where the rule cleans up or the user wants it, else by a transaction.
    fn put(&mut self, rule: &dyn Rule, patch: Patch, op: Option<OpId>) -> Result<Option<Miss>, DriverError> {
        let info = rule.info();
        if info.purpose == Purpose::Clean || self.cx.forced.contains(&info.code) {
            return self.commit(rule, patch, op);
        }
        self.transaction(rule, patch, op)
    }

    fn attempt(&mut self, rule: usize, op: OpId) -> Result<Patch, Miss> {
        let pattern = &self.patterns[rule];
        let found = pattern.find(&self.program, op)?;
        let rule = self.cx.rules[rule];
        let depth = found.len() as u32;
        let deep = |m: Miss| Miss { depth: depth + 1, ..m };
        if rule.info().grade == Grade::Approximate && !self.cx.approximate {
            return Err(deep(Miss::new("the rule is approximate, which is not allowed")));
        }
        let opset = self.opsets.get(&self.program.func_of(op)).copied().unwrap_or(Opset::Ios15);
        let Driver { program, facts, dims, .. } = self;
        let m = Match { program, facts, opset, found, objective: self.cx.objective };
        let mut b = PatchBuilder::new(program, facts, dims, self.cx.dialect, opset);
        rule.rewrite(&m, &mut b).map_err(deep)?;
        let mut patch = b.finish();
        if patch.is_empty() {
            return Err(deep(Miss::new("nothing to change")));
        }
        patch.matched = m.found.iter().map(|(_, op)| *op).collect();
        patch.anchor = Some(m.root());
        Ok(patch)
    }

    /// Puts a patch in and records it; a miss where the program does not allow it, which stays as it was.
    fn commit(
        &mut self,
        rule: &dyn Rule,
        mut patch: Patch,
        op: Option<OpId>,
    ) -> Result<Option<Miss>, DriverError> {
        if self.records.len() >= self.limit {
            let mut rules: Vec<Code> = self.records.iter().rev().take(64).map(|r| r.code).collect();
            rules.sort_unstable();
            rules.dedup();
            return Err(DriverError::Diverged { applied: self.records.len(), rules });
        }
        let name = op.map_or_else(|| Str::from("the program"), |op| self.op_name(op));
        if let Some(oracle) = self.cx.oracle {
            let Driver { program, facts, dims, .. } = &*self;
            let claim = Claim { rule: rule.info(), program, facts, dims, patch: &patch };
            match oracle.equal(&claim) {
                Ok(()) => {}
                Err(difference) if oracle.leaves_out() => return Ok(Some(Miss::new(difference))),
                Err(difference) => {
                    return Err(DriverError::NotEqual { code: rule.info().code, op: name, difference });
                }
            }
        }
        patch.unrounded.clear();
        let mark = self.program.mark();
        self.announce(&patch);
        match apply(&mut self.program, &mut self.facts, self.cx.dialect, &patch) {
            Ok(applied) => {
                if self.cx.verify
                    && let Err(violations) = verify(&self.program, self.cx.dialect)
                    && violations.0.len() > self.violations
                {
                    return Err(DriverError::Broken { code: rule.info().code, op: name, violations });
                }
                self.record(rule.info().code, patch, name, applied);
                Ok(None)
            }
            Err(miss) => {
                self.program.rollback(mark);
                Ok(Some(miss))
            }
        }
    }

    /// Puts the patch of a record in again, in the identities of now.
    fn apply_again(&mut self, record: &Record, patch: Patch) -> Option<&Record> {
        let mark = self.program.mark();
        self.announce(&patch);
        match apply(&mut self.program, &mut self.facts, self.cx.dialect, &patch) {
            Ok(applied) => {
                self.record(record.code, patch, record.name.clone(), applied);
                self.records.last()
            }
            Err(_) => {
                self.program.rollback(mark);
                None
            }
        }
    }

    /// Has the prices noted of ops whose operands a patch will change, while a transaction is open.
    fn announce(&mut self, patch: &Patch) {
        if !self.open {
            return;
        }
        let Driver { program, facts, pricing, .. } = self;
        for &(old, _) in &patch.replaced {
            for u in program.uses(old) {
                if let User::Op(op) = u.user {
                    pricing.note(program, facts, op);
                }
            }
        }
        for &(op, ..) in &patch.rebound {
            pricing.note(program, facts, op);
        }
    }

    fn record(&mut self, code: Code, patch: Patch, name: Str, applied: Applied) {
        let depends = self.depends(&patch);
        let number = self.records.len() as u32 + 1;
        let mut dirty = applied.touched.clone();
        dirty.extend(&applied.added);
        for &op in &applied.added {
            dirty.extend(self.neighbours(op));
        }
        for &v in patch.taps.iter().map(|(_, outer)| outer) {
            dirty.extend(self.program.def_op(v).filter(|&op| self.program.is_alive(op)));
        }
        if !self.open {
            applied.touched.iter().for_each(|&op| self.pricing.forget(op));
        }
        self.live = (self.live + applied.added.len()).saturating_sub(applied.removed.len());
        for &op in applied.touched.iter().chain(&applied.added) {
            self.stamp_log.push((op, self.stamps[op]));
            self.stamps.set(op, number);
        }
        self.records.push(Record {
            code,
            name,
            group: self.group,
            joint: self.group,
            touched: applied.touched,
            patch,
            depends,
            added: applied.added,
            removed: applied.removed,
            made_values: applied.made_values,
            dirty,
        });
        self.group += 1;
    }

    /// Records that made or changed what this patch looked at.
    fn depends(&self, patch: &Patch) -> Vec<u32> {
        let tapped = patch.taps.iter().filter_map(|(_, v)| self.program.def_op(*v));
        let rebound = patch.rebound.iter().map(|(op, ..)| *op);
        let ops =
            patch.matched.iter().copied().chain(tapped).chain(rebound).chain(patch.removed.iter().copied());
        let mut out: Vec<u32> = ops.map(|op| self.stamps[op]).filter(|&n| n > 0).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn neighbours(&self, op: OpId) -> Vec<OpId> {
        let users = self.program.op(op).results.iter().flat_map(|&r| self.program.uses(r));
        users
            .filter_map(|u| match u.user {
                User::Op(op) => Some(op),
                User::Output(_) => None,
            })
            .collect()
    }

    fn op_name(&self, op: OpId) -> Str {
        let o = self.program.op(op);
        o.result().map_or_else(|| o.kind.clone(), |r| self.program.value(r).name.clone())
    }

    fn miss(&mut self, code: Code, op: OpId, miss: Miss) {
        if self.cx.why != Some(code) {
            return;
        }
        let name = self.op_name(op);
        if self.misses.iter().any(|m| m.op == name && m.depth >= miss.depth) {
            return;
        }
        self.misses.retain(|m| m.op != name);
        let at = self.misses.partition_point(|m| m.depth >= miss.depth);
        let kind = self.program.op(op).kind.clone();
        self.misses.insert(at, NearMiss { op: name, kind, why: miss.why.into_owned(), depth: miss.depth });
        self.misses.truncate(KEPT_MISSES);
    }

    fn replay(&mut self, records: &[Record], keep: impl Fn(u32) -> bool) {
        let (ops, values) = (self.program.op_bound(), self.program.value_bound());
        let mut ids = crate::record::Ids::new(ops, values);
        let mut left_out: FxHashSet<u32> = FxHashSet::default();
        let mut groups_out: FxHashSet<u32> = FxHashSet::default();
        for (i, r) in records.iter().enumerate() {
            let number = i as u32 + 1;
            let orphan = r.depends.iter().any(|d| left_out.contains(d)) || groups_out.contains(&r.group);
            let patch = if orphan || !keep(r.group) { None } else { ids.translate(&r.patch) };
            let mark = self.program.mark();
            let applied = patch.and_then(|patch| {
                let done = apply(&mut self.program, &mut self.facts, self.cx.dialect, &patch);
                done.ok().map(|a| (patch, a))
            });
            let Some((patch, applied)) = applied else {
                self.program.rollback(mark);
                left_out.insert(number);
                groups_out.insert(r.group);
                continue;
            };
            ids.learn(r, &applied.added, &applied.made_values);
            self.records.push(Record {
                patch,
                added: applied.added,
                removed: applied.removed,
                made_values: applied.made_values,
                name: r.name.clone(),
                depends: r.depends.clone(),
                touched: Vec::new(),
                dirty: Vec::new(),
                ..*r
            });
        }
    }

    fn outcome(mut self) -> Outcome {
        self.program.forget_edits();
        for &v in &self.used {
            self.program.drop_const(v);
        }
        let mut provenance = Side::new(0);
        for r in &self.records {
            for &op in &r.added {
                provenance.set(op, r.group);
            }
        }
        let firings = crate::record::firings(&self.program, &self.records);
        let Driver { program, facts, dims, misses, .. } = self;
        Outcome { program, facts, dims, firings, provenance, near_misses: misses }
    }
}

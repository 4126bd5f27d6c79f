//! Transactions: rules that pay only where the target gains, one by one or several together.
//!
//! A patch is put in and cleaned up after; the ops around it are priced before and after. Where one alone is no gain,
//! the rules that apply around it are put in as well, to a fixpoint, and all are priced together. What is no gain then
//! goes again, the last first.

use std::collections::VecDeque;

use anewrite_ir::{Mark, OpId};
use rustc_hash::FxHashSet;

use super::{Driver, DriverError};
use crate::matching::Miss;
use crate::patch::Patch;
use crate::record::{Ids, Record};
use crate::rule::{Purpose, Rule};
use crate::stretch::Changes;
use crate::weigh::{Comparison, Weights};

/// How many ops on each side of a change a region holds.
const REACH: usize = 24;

/// How many groups of patches are priced together at most.
const MAX_GROUPS: usize = 12;

/// A point that the driver can go back to.
#[derive(Clone, Copy)]
pub(super) struct Point {
    mark: Mark,
    records: usize,
    stamps: usize,
    group: u32,
    ops: usize,
    values: usize,
    live: usize,
}

/// A group of a region: where it begins, and what it is a firing of.
#[derive(Clone, Copy)]
struct Group {
    from: Point,
    rule: usize,
    op: Option<OpId>,
}

impl Driver<'_> {
    fn point(&mut self) -> Point {
        Point {
            mark: self.program.mark(),
            records: self.records.len(),
            stamps: self.stamp_log.len(),
            group: self.group,
            ops: self.program.op_bound(),
            values: self.program.value_bound(),
            live: self.live,
        }
    }

    /// Puts a patch in where the rule's purpose is fulfilled; a miss says why it is not.
    pub(super) fn transaction(
        &mut self,
        rule: &dyn Rule,
        patch: Patch,
        op: Option<OpId>,
    ) -> Result<Option<Miss>, DriverError> {
        if let Err(miss) = self.on_record(rule) {
            return Ok(Some(miss));
        }
        let start = self.point();
        self.open = true;
        let done = self.group(rule, patch, op).and_then(|miss| match miss {
            Some(miss) => Ok(Some(miss)),
            None => self.weigh_group(rule, op, &start),
        });
        self.open = false;
        let kept = matches!(done, Ok(None));
        if kept {
            for r in &mut self.records[start.records..] {
                r.joint = start.group;
            }
        } else {
            self.restore(&start);
        }
        self.pricing.settle(kept);
        done
    }

    /// A rule whose benefit is on record needs the record for the target.
    fn on_record(&self, rule: &dyn Rule) -> Result<(), Miss> {
        let info = rule.info();
        if info.purpose != Purpose::Measured {
            return Ok(());
        }
        let row = info.record.ok_or(Miss::new("the rule names no record of its benefit"))?;
        let gain = self.cx.objective.on_record(row);
        gain.map_err(|why| Miss { depth: u32::MAX, ..Miss::new(format!("the target gains nothing: {why}")) })
    }

    /// Prices the group since `start`, and decides what stays of it and of what could join it.
    fn weigh_group(
        &mut self,
        rule: &dyn Rule,
        op: Option<OpId>,
        start: &Point,
    ) -> Result<Option<Miss>, DriverError> {
        let weights = self.weigh(start);
        let verdict = match rule.info().purpose {
            Purpose::Clean | Purpose::Measured => return Ok(None),
            Purpose::Numerics => weights.numerics(&self.scenarios),
            Purpose::Enable => weights.eligibility(&self.scenarios),
            Purpose::Plan => weights.plan(&self.scenarios),
        };
        let why = match verdict {
            Comparison::Better => return Ok(None),
            Comparison::Same(why) => format!("the target gains nothing: {why}"),
            Comparison::Worse(why) => format!("the target would lose: {why}"),
        };
        let code = rule.info().code;
        let explored = op.is_some_and(|op| self.explored.contains(&(code, op)));
        if rule.info().purpose != Purpose::Numerics && !self.scenarios.is_empty() && !explored {
            let rule = self.cx.rules.iter().position(|r| r.info().code == code).unwrap_or_default();
            if self.region(Group { from: *start, rule, op })? {
                return Ok(None);
            }
        }
        Ok(Some(Miss { depth: u32::MAX, ..Miss::new(why) }))
    }

    /// Commits a patch and cleans up around it: one group.
    fn group(
        &mut self,
        rule: &dyn Rule,
        patch: Patch,
        op: Option<OpId>,
    ) -> Result<Option<Miss>, DriverError> {
        let (records, group) = (self.records.len(), self.group);
        if let Some(miss) = self.commit(rule, patch, op)? {
            return Ok(Some(miss));
        }
        self.clean_up(records, group)?;
        Ok(None)
    }

    /// Cleans up after the records from `records` on and makes all of it one group.
    fn clean_up(&mut self, records: usize, group: u32) -> Result<(), DriverError> {
        let mut queue: VecDeque<OpId> = self.dirty_since(records).into();
        self.work(&mut queue, true)?;
        for r in &mut self.records[records..] {
            r.group = group;
        }
        self.group = group + 1;
        Ok(())
    }

    /// Adds to a group those of the rules that apply around it, to a fixpoint, and keeps what is a gain together.
    /// Tells whether anything is.
    fn region(&mut self, seed: Group) -> Result<bool, DriverError> {
        let start = &seed.from;
        let mut groups = vec![seed];
        let mut queue: VecDeque<OpId> = self.around(start).into();
        let mut waiting: FxHashSet<OpId> = queue.iter().copied().collect();
        while let Some(op) = queue.pop_front() {
            waiting.remove(&op);
            for rule in self.rules_for(op, false) {
                let info = self.cx.rules[rule].info();
                let joins = matches!(info.purpose, Purpose::Enable | Purpose::Plan)
                    && !self.cx.forced.contains(&info.code);
                if !joins || groups.len() == MAX_GROUPS || !self.program.is_alive(op) {
                    continue;
                }
                let Ok(patch) = self.attempt(rule, op) else { continue };
                let from = self.point();
                if self.group(self.cx.rules[rule], patch, Some(op))?.is_some() {
                    continue;
                }
                groups.push(Group { from, rule, op: Some(op) });
                for dirty in self.dirty_since(from.records) {
                    if waiting.insert(dirty) {
                        queue.push_back(dirty);
                    }
                }
            }
        }
        let found: Vec<Group> = groups.clone();
        if groups.len() > 1 {
            if self.keep_gain(start, groups)? {
                return Ok(true);
            }
            // The first one may be what is no gain.
            let mut others = Vec::with_capacity(found.len());
            for g in &found[1..] {
                let Some(op) = g.op.filter(|&op| self.program.is_alive(op)) else { continue };
                let Ok(patch) = self.attempt(g.rule, op) else { continue };
                let from = self.point();
                if self.group(self.cx.rules[g.rule], patch, Some(op))?.is_none() {
                    others.push(Group { from, ..*g });
                }
            }
            if self.keep_gain(start, others)? {
                return Ok(true);
            }
        }
        // Together with the same others they would be no gain again.
        let tried = found.iter().filter_map(|g| Some((self.cx.rules[g.rule].info().code, g.op?)));
        self.explored.extend(tried);
        Ok(false)
    }

    /// Drops groups, the last first, until those that are left are a gain, and what is no part of it. Where none is,
    /// the program is as it was.
    fn keep_gain(&mut self, start: &Point, mut groups: Vec<Group>) -> Result<bool, DriverError> {
        while let Some(last) = groups.last().copied() {
            let weights = self.weigh(start);
            let plans = groups.iter().any(|g| self.cx.rules[g.rule].info().purpose == Purpose::Plan);
            let verdict =
                if plans { weights.plan(&self.scenarios) } else { weights.eligibility(&self.scenarios) };
            if verdict == Comparison::Better {
                self.trim(start, groups, weights)?;
                return Ok(true);
            }
            self.restore(&last.from);
            groups.pop();
        }
        Ok(false)
    }

    /// The living ops near what changed since `start`, in program order.
    fn around(&self, start: &Point) -> Vec<OpId> {
        let mut out = Vec::new();
        for stretch in self.changes(start).stretches() {
            let near = stretch.lead.saturating_sub(REACH)
                ..(stretch.core_after().end + REACH).min(stretch.after.len());
            out.extend(stretch.after.get(near).unwrap_or_default());
        }
        out
    }

    /// Leaves out, the last first, each group without which the others are as much of a gain.
    fn trim(&mut self, start: &Point, mut groups: Vec<Group>, mut best: Weights) -> Result<(), DriverError> {
        for i in (0..groups.len()).rev() {
            let from = groups[i].from;
            let own = groups.get(i + 1).map_or(self.records.len(), |g| g.from.records) - from.records;
            let taken = self.records.split_off(from.records);
            self.take_back(&from, &taken);
            let without = self.redo(&from, &taken[own..], &groups[i + 1..])?;
            let nothing = i == 0 && without.is_empty();
            let weights = if nothing { None } else { Some(self.weigh(start)) };
            match weights.filter(|w| w.no_worse_than(&best)) {
                Some(weights) => {
                    best = weights;
                    groups.truncate(i);
                    groups.extend(without);
                }
                None => {
                    self.restore(&from);
                    let again = self.redo(&from, &taken, &groups[i..])?;
                    groups.truncate(i);
                    groups.extend(again);
                }
            }
        }
        Ok(())
    }

    /// Puts groups that were taken out in again from `from` on; gives those that could be.
    fn redo(&mut self, from: &Point, taken: &[Record], groups: &[Group]) -> Result<Vec<Group>, DriverError> {
        let mut ids = Ids::new(from.ops, from.values);
        let mut out = Vec::with_capacity(groups.len());
        for (group, records) in groups.iter().zip(taken.chunk_by(|a, b| a.group == b.group)) {
            let point = self.point();
            for r in records {
                let Some(patch) = ids.translate(&r.patch) else { continue };
                if let Some(again) = self.apply_again(r, patch) {
                    ids.learn(r, &again.added, &again.made_values);
                }
            }
            let own = records.first().map(|r| r.code);
            let fired = self.records.get(point.records).map(|r| r.code);
            if own.is_some() && fired == own {
                self.clean_up(point.records, point.group)?;
                out.push(Group { from: point, ..*group });
                continue;
            }
            // It stood on what is not there any more, and may stand on what that replaced.
            self.restore(&point);
            let op = group.op.and_then(|op| ids.op(op)).filter(|&op| self.program.is_alive(op));
            let Some((op, Ok(patch))) = op.map(|op| (op, self.attempt(group.rule, op))) else { continue };
            if self.group(self.cx.rules[group.rule], patch, Some(op))?.is_none() {
                out.push(Group { from: point, op: Some(op), ..*group });
            }
        }
        Ok(out)
    }

    pub(super) fn weigh(&mut self, start: &Point) -> Weights {
        let mut weights = Weights::none(self.scenarios.len());
        for stretch in self.changes(start).stretches() {
            weights.add(&self.pricing.price(&self.program, &self.facts, &stretch));
        }
        weights
    }

    fn changes(&self, start: &Point) -> Changes<'_> {
        let records = self.records[start.records..].iter();
        let ops = records.flat_map(|r| r.touched.iter().chain(&r.added).chain(&r.removed).copied()).collect();
        Changes {
            program: &self.program,
            mark: start.mark,
            known: start.ops,
            ops,
            total: [start.live, self.live],
        }
    }

    /// Goes back to a point.
    fn restore(&mut self, point: &Point) {
        let taken = self.records.split_off(point.records);
        self.take_back(point, &taken);
    }

    /// Goes back to a point, the records since being taken out already.
    fn take_back(&mut self, point: &Point, taken: &[Record]) {
        self.program.rollback(point.mark);
        for op in taken.iter().flat_map(|r| &r.touched) {
            self.pricing.forget(*op);
        }
        self.group = point.group;
        self.live = point.live;
        while self.stamp_log.len() > point.stamps {
            if let Some((op, old)) = self.stamp_log.pop() {
                self.stamps.set(op, old);
            }
        }
    }
}

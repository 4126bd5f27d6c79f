//! Order, nesting, definitions, dominance, names and edges: what holds whatever the ops mean.

use rustc_hash::FxHashMap;

use super::{Entity, Invariant, Violation, context};
use crate::defuse::{Use, User};
use crate::ids::{BlockId, FuncId, OpId, Side, ValueId};
use crate::op::{ConstOrigin, Def, Effect, Str};
use crate::program::Program;
use crate::schema::Dialect;
use crate::types::{TensorType, Type};

/// What a walk over the program found out.
pub(super) struct Walked {
    /// What does not hold.
    pub(super) found: Vec<Violation>,
    /// All ops in program order.
    pub(super) ops: Vec<OpId>,
    /// Values that are constant or follow from constants alone.
    pub(super) fixed: Side<ValueId, bool>,
}

pub(super) fn check(p: &Program, dialect: &dyn Dialect) -> Walked {
    let mut w = Walk {
        p,
        dialect,
        found: Vec::new(),
        ops: Vec::new(),
        seen_ops: Side::new(false),
        spans: Side::new(None),
        clock: 0,
        open: Side::new(false),
        visible: Side::new(false),
        fixed: Side::new(false),
        uses: Vec::new(),
        named: Vec::new(),
    };
    for (id, value) in p.values() {
        if let Def::Const { block, data } = &value.def {
            w.fixed.set(id, true);
            let of = TensorType::fixed(data.tensor.dtype(), data.tensor.dims().iter().copied());
            if matches!(&value.ty, Type::Tensor(t) if *t != of) {
                w.report(Invariant::Definition, Entity::Value(id), format!("its content is {of}"));
            }
            if p.blocks.get(*block).is_none() {
                w.report(Invariant::Definition, Entity::Value(id), format!("there is no block {block:?}"));
            }
        }
    }
    for (id, f) in p.functions() {
        w.function(id, f.body);
    }
    for op in p.op_ids() {
        if !w.seen_ops[op] {
            w.report(Invariant::Order, Entity::Op(op), "it stands in no block".into());
        }
    }
    if !w.found.iter().any(|v| v.invariant.is_structural()) {
        w.names();
    }
    w.edges();
    Walked { found: w.found, ops: w.ops, fixed: w.fixed }
}

/// What is left to do, last first.
enum Task {
    Enter {
        block: BlockId,
        parent: Option<OpId>,
    },
    /// The next op of a block, after `prev` whose label is `label`.
    Next {
        block: BlockId,
        op: Option<OpId>,
        prev: Option<OpId>,
        label: Option<u64>,
    },
    /// The results of an op whose nested blocks are done.
    Define(OpId),
    Leave {
        block: BlockId,
        last: Option<OpId>,
    },
}

struct Walk<'a> {
    p: &'a Program,
    dialect: &'a dyn Dialect,
    found: Vec<Violation>,
    ops: Vec<OpId>,
    seen_ops: Side<OpId, bool>,
    /// When each block was entered and left: one is within another if its span is.
    spans: Side<BlockId, Option<(u32, u32)>>,
    clock: u32,
    open: Side<BlockId, bool>,
    visible: Side<ValueId, bool>,
    fixed: Side<ValueId, bool>,
    uses: Vec<(ValueId, Use)>,
    /// Arguments and results with the function and block that they are in.
    named: Vec<(ValueId, FuncId, BlockId)>,
}

impl Walk<'_> {
    fn report(&mut self, invariant: Invariant, entity: Entity, what: String) {
        self.found.push(Violation { invariant, entity, context: context(self.p, entity), what });
    }

    fn function(&mut self, func: FuncId, body: BlockId) {
        // what blocks define, to be hidden again when they end
        let mut scopes: Vec<Vec<ValueId>> = Vec::new();
        let mut tasks = vec![Task::Enter { block: body, parent: None }];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Enter { block, parent } => {
                    let Some(first) = self.enter(func, block, parent) else { continue };
                    scopes.push(self.p.block(block).args.to_vec());
                    tasks.push(Task::Next { block, op: first, prev: None, label: None });
                }
                Task::Next { block, op: None, prev, .. } => tasks.push(Task::Leave { block, last: prev }),
                Task::Next { block, op: Some(op), prev, label } => {
                    let Some((next, label)) = self.op(block, op, prev, label) else {
                        // the chain cannot be followed further
                        tasks.push(Task::Leave { block, last: self.p.block(block).last });
                        continue;
                    };
                    tasks.push(Task::Next { block, op: next, prev: Some(op), label: Some(label) });
                    tasks.push(Task::Define(op));
                    for &nested in self.p.op(op).blocks.iter().rev() {
                        tasks.push(Task::Enter { block: nested, parent: Some(op) });
                    }
                }
                Task::Define(op) => {
                    let results = self.define(func, op);
                    if let Some(scope) = scopes.last_mut() {
                        scope.extend(results);
                    }
                }
                Task::Leave { block, last } => {
                    self.leave(block, last);
                    for v in scopes.pop().unwrap_or_default() {
                        self.visible.set(v, false);
                    }
                }
            }
        }
    }

    /// The first op of the block, unless the block cannot be entered.
    fn enter(&mut self, func: FuncId, block: BlockId, parent: Option<OpId>) -> Option<Option<OpId>> {
        let p = self.p;
        let Some(b) = p.blocks.get(block) else {
            let entity = parent.map_or(Entity::Function(func), Entity::Op);
            self.report(Invariant::Nesting, entity, format!("there is no block {block:?}"));
            return None;
        };
        if self.spans[block].is_some() {
            self.report(Invariant::Nesting, Entity::Block(block), "it stands in two places".into());
            return None;
        }
        if b.parent != parent || b.func != func {
            let what = format!("it says that it is in {:?} of {:?}", b.parent, b.func);
            self.report(Invariant::Nesting, Entity::Block(block), what);
        }
        self.clock += 1;
        self.spans.set(block, Some((self.clock, self.clock)));
        self.open.set(block, true);
        for (index, &arg) in b.args.iter().enumerate() {
            let fits = |d: &Def| matches!(d, Def::Arg { block: at, index: i } if *at == block && *i as usize == index);
            self.defined(arg, Entity::Block(block), &format!("argument {index}"), fits);
            self.visible.set(arg, true);
            self.named.push((arg, func, block));
        }
        Some(b.first)
    }

    fn defined(&mut self, value: ValueId, by: Entity, what: &str, fits: impl Fn(&Def) -> bool) {
        match self.p.values.get(value) {
            None => self.report(Invariant::Definition, by, format!("there is no value {value:?}")),
            Some(v) if !fits(&v.def) => {
                let what = format!("{what}, {}, says that it is {}", v.name, definition(&v.def));
                self.report(Invariant::Definition, by, what);
            }
            Some(_) => {}
        }
    }

    /// The op after `op` and `op`'s label, unless the chain cannot be followed further.
    fn op(
        &mut self,
        block: BlockId,
        op: OpId,
        prev: Option<OpId>,
        label: Option<u64>,
    ) -> Option<(Option<OpId>, u64)> {
        let entity = Entity::Op(op);
        let Some(slot) = self.p.ops.get(op) else {
            self.report(Invariant::Order, Entity::Block(block), format!("there is no op {op:?}"));
            return None;
        };
        if self.seen_ops[op] {
            self.report(Invariant::Order, entity, "it stands in two places".into());
            return None;
        }
        self.seen_ops.set(op, true);
        if !slot.alive {
            self.report(Invariant::Order, entity, "it is removed, yet in the chain".into());
        }
        if slot.block != block {
            self.report(Invariant::Order, entity, format!("it says that it is in {:?}", slot.block));
        }
        if slot.link.prev != prev {
            let what = format!("it says that it comes after {:?}, not {prev:?}", slot.link.prev);
            self.report(Invariant::Order, entity, what);
        }
        if label.is_some_and(|l| l >= slot.link.label) {
            let what = format!("label {} after {}", slot.link.label, label.unwrap_or(0));
            self.report(Invariant::Order, entity, what);
        }
        self.ops.push(op);
        for (i, o) in slot.op.operands.iter().enumerate() {
            let slot = i as u32;
            self.uses.push((o.value, Use { user: User::Op(op), slot }));
            if let Some(why) = self.invisible(o.value) {
                self.report(Invariant::Dominance, entity, format!("{}: {why}", o.param));
            }
        }
        Some((slot.link.next, slot.link.label))
    }

    /// Why a value cannot be used here.
    fn invisible(&self, value: ValueId) -> Option<String> {
        let Some(v) = self.p.values.get(value) else { return Some(format!("there is no value {value:?}")) };
        let visible = match &v.def {
            Def::Const { block, .. } => self.open[*block],
            _ => self.visible[value],
        };
        if visible {
            return None;
        }
        let name = &v.name;
        Some(match v.def {
            Def::Op { op, .. } if self.p.ops.get(op).is_some_and(|s| !s.alive) => {
                format!("{name} is the result of an op that was removed")
            }
            _ => format!("{name}, {}, is not defined here", definition(&v.def)),
        })
    }

    fn define(&mut self, func: FuncId, op: OpId) -> Vec<ValueId> {
        let slot = &self.p.ops[op];
        let (o, block) = (&slot.op, slot.block);
        let pure = self.dialect.effect(&o.kind) == Effect::Pure && o.blocks.is_empty();
        let fixed = pure && !o.operands.is_empty() && o.operands.iter().all(|x| self.fixed[x.value]);
        for (index, &r) in o.results.iter().enumerate() {
            let fits =
                |d: &Def| matches!(d, Def::Op { op: by, index: i } if *by == op && *i as usize == index);
            self.defined(r, Entity::Op(op), &format!("result {index}"), fits);
            self.visible.set(r, true);
            self.fixed.set(r, fixed);
            self.named.push((r, func, block));
        }
        o.results.to_vec()
    }

    fn leave(&mut self, block: BlockId, last: Option<OpId>) {
        let b = self.p.block(block);
        if b.last != last {
            let what = format!("its last op is {:?}, the chain ends at {last:?}", b.last);
            self.report(Invariant::Order, Entity::Block(block), what);
        }
        for (slot, &value) in b.outputs.iter().enumerate() {
            let slot = slot as u32;
            self.uses.push((value, Use { user: User::Output(block), slot }));
            if let Some(why) = self.invisible(value) {
                self.report(Invariant::Output, Entity::Block(block), format!("output {slot}: {why}"));
            }
        }
        self.open.set(block, false);
        self.clock += 1;
        if let Some(span) = self.spans.entry(block) {
            span.1 = self.clock;
        }
    }

    fn names(&mut self) {
        let mut named = std::mem::take(&mut self.named);
        let mut consts: FxHashMap<(FuncId, Str), u32> = FxHashMap::default();
        for (id, v) in self.p.values() {
            let Def::Const { block, data } = &v.def else { continue };
            let func = self.p.block(*block).func;
            *consts.entry((func, v.name.clone())).or_insert(0) += 1;
            // one that nothing uses may be there no more
            if data.origin != ConstOrigin::InPlace && self.p.use_count(id) > 0 && self.spans[*block].is_some()
            {
                named.push((id, func, *block));
            }
        }
        let mut by_name: FxHashMap<(FuncId, Str), Vec<(ValueId, BlockId)>> = FxHashMap::default();
        for (v, func, block) in named {
            by_name.entry((func, self.p.value(v).name.clone())).or_default().push((v, block));
        }
        let mut found = Vec::new();
        for (key, mut values) in by_name {
            let taken = self.p.names.get(&key).copied().unwrap_or(0) as usize;
            let sure = values.iter().filter(|&&(v, _)| self.p.constant(v).is_none()).count();
            if taken < sure || taken > sure + consts.get(&key).copied().unwrap_or(0) as usize {
                let what = format!("the table of names counts {taken} of {}", key.1);
                found.push((values[0].0, what));
            }
            values.retain(|&(v, _)| !self.p.value(v).pinned);
            values.sort_by_key(|&(v, b)| (self.spans[b], v));
            let mut around: Vec<(u32, u32)> = Vec::new();
            for (v, block) in values {
                let span = self.spans[block].unwrap_or_default();
                while around.last().is_some_and(|a| a.1 < span.0) {
                    around.pop();
                }
                if !around.is_empty() {
                    found.push((v, format!("{} is the name of another value too", key.1)));
                }
                around.push(span);
            }
        }
        found.sort();
        for (v, what) in found {
            self.report(Invariant::Name, Entity::Value(v), what);
        }
    }

    fn edges(&mut self) {
        let mut uses = std::mem::take(&mut self.uses);
        uses.sort_unstable();
        let mut rest = uses.as_slice();
        for (v, value) in self.p.values() {
            let count = rest.iter().take_while(|(used, _)| *used == v).count();
            let (here, after) = rest.split_at(count);
            rest = after;
            if self.p.use_count(v) != count {
                let what = format!("{} uses are counted, {count} exist", self.p.use_count(v));
                self.report(Invariant::Edges, Entity::Value(v), what);
            }
            let tracked = !matches!(value.def, Def::Const { .. });
            if tracked && !self.p.uses(v).iter().eq(here.iter().map(|(_, u)| u)) {
                let here: Vec<Use> = here.iter().map(|(_, u)| *u).collect();
                let what = format!("edges {:?} where the uses are {here:?}", self.p.uses(v));
                self.report(Invariant::Edges, Entity::Value(v), what);
            }
        }
    }
}

fn definition(def: &Def) -> String {
    match def {
        Def::Op { op, index } => format!("result {index} of {op:?}"),
        Def::Arg { block, index } => format!("argument {index} of {block:?}"),
        Def::Const { block, .. } => format!("a constant of {block:?}"),
    }
}

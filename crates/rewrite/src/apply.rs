//! The one place where patches change a program.

use anewrite_ir::infer::Facts;
use anewrite_ir::{
    BlockId, Const, ConstOrigin, Def, Dialect, DialectId, Effect, NewOp, OpId, Place, Program, Str, Type,
    User, ValueId,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::matching::Miss;
use crate::patch::{Patch, PatchValue};

/// What a patch did to a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    pub(crate) added: Vec<OpId>,
    pub(crate) removed: Vec<OpId>,
    pub(crate) touched: Vec<OpId>,
    /// Values and ops that the patch made, in the order in which it made them: what a replay maps.
    pub(crate) made_values: Vec<ValueId>,
}

/// Puts a patch into the program. On an error the program may be half changed: the caller rolls back.
pub(crate) fn apply(
    p: &mut Program,
    facts: &mut Facts,
    dialect: &dyn Dialect,
    patch: &Patch,
) -> Result<Applied, Miss> {
    let mut a = Apply {
        p,
        facts,
        dialect,
        patch,
        map: FxHashMap::default(),
        replaces: patch.replaced.iter().rev().map(|&(old, new)| (new.0, old)).collect(),
        goes: patch.replaced.iter().map(|&(old, _)| old).collect(),
        made: FxHashSet::default(),
        named: FxHashSet::default(),
        done: Applied::default(),
    };
    a.run()?;
    Ok(a.done)
}

/// What stands for a replaced value.
struct Heir {
    value: ValueId,
    /// Whether it takes the replaced value's name: the patch made it, and it has no name of another's yet.
    takes_name: bool,
    /// Outputs of functions that the replaced value was.
    outputs: usize,
}

struct Apply<'a> {
    p: &'a mut Program,
    facts: &'a mut Facts,
    dialect: &'a dyn Dialect,
    patch: &'a Patch,
    /// The program's values for those of the patch.
    map: FxHashMap<ValueId, ValueId>,
    /// What each of the patch's values replaces; the first, where it replaces several.
    replaces: FxHashMap<ValueId, ValueId>,
    /// The values that are replaced.
    goes: FxHashSet<ValueId>,
    /// Values that the patch made.
    made: FxHashSet<ValueId>,
    /// Those of them that have taken the name of what they replace.
    named: FxHashSet<ValueId>,
    done: Applied,
}

impl Apply<'_> {
    fn run(&mut self) -> Result<(), Miss> {
        let patch = self.patch;
        for &(inner, outer) in &patch.taps {
            self.map.insert(inner.0, outer);
        }
        for inner in patch.body.all_ops() {
            let place = patch.places.get(&inner).copied().or(patch.anchor);
            let place = place.filter(|&op| self.p.is_alive(op));
            self.insert(inner, place.ok_or(Miss::new("the replacement has no place"))?)?;
        }
        let mut heirs = Vec::with_capacity(patch.replaced.len());
        for &(old, new) in &patch.replaced {
            heirs.push(self.redirect(old, new)?);
        }
        for &(op, slot, value) in &patch.rebound {
            if !self.p.is_alive(op) || self.p.op(op).sealed || !self.p.dominates(value, op) {
                return Err(Miss::new("an operand to be changed is out of reach"));
            }
            let old = self.p.op(op).operands[slot].value;
            self.p.set_operand(op, slot, value);
            self.done.touched.push(op);
            self.bury_producer(old);
        }
        for &op in patch.removed.iter().chain(&patch.matched) {
            self.bury(op);
        }
        for (&(old, _), heir) in patch.replaced.iter().zip(heirs) {
            self.pass_name(old, heir)?;
        }
        Ok(())
    }

    /// Copies one of the patch's ops before `anchor`.
    fn insert(&mut self, inner: OpId, anchor: OpId) -> Result<(), Miss> {
        let body = &self.patch.body;
        let func = self.p.func_of(anchor);
        let o = body.op(inner);
        let stem = match o.results.iter().find_map(|r| self.replaces.get(r).copied()) {
            Some(old) => self.p.value(old).name.clone(),
            None => format!("{}_{}", self.base_name(anchor), o.kind.trim_start_matches("nn.")).into(),
        };
        let mut new = NewOp::new(&o.kind);
        new.op.attrs.clone_from(&o.attrs);
        new.op.name = o.results.first().and_then(|&r| self.heir_of(r));
        for x in &o.operands {
            let value = self.outer(x.value, anchor, &format!("{stem}_{}_0", x.param))?;
            new = new.operand(&x.param, value);
            if let Some(last) = new.op.operands.last_mut() {
                last.binding = x.binding;
            }
        }
        let mut taken: Vec<Str> = Vec::new();
        for &r in &o.results {
            let mut name = self.p.fresh_name(func, &stem);
            while taken.contains(&name) {
                name = self.p.fresh_name(func, &format!("{stem}_{}", taken.len()));
            }
            taken.push(name.clone());
            // files state the types of MIL values only
            let ty = if body.dialect == DialectId::Mil { body.ty(r).erased() } else { Type::Unknown };
            new.results.push((name, ty));
        }
        let op = self.p.add_op(Place::Before(anchor), new);
        for (&inner, outer) in o.results.iter().zip(self.p.op(op).results.clone()) {
            self.made(inner, outer);
        }
        self.done.added.push(op);
        Ok(())
    }

    fn made(&mut self, inner: ValueId, outer: ValueId) {
        self.map.insert(inner, outer);
        let facts = &self.patch.facts;
        self.facts.set(outer, facts.ty(&self.patch.body, inner).clone(), facts.ints(inner).cloned());
        self.done.made_values.push(outer);
        self.made.insert(outer);
    }

    /// The own name of the op that goes because of this result: it passes on, like the result's. Of several results the
    /// first one passes it on, so that no two ops have it.
    fn heir_of(&self, inner: ValueId) -> Option<Str> {
        let old = *self.replaces.get(&inner)?;
        let op = self.p.op(self.p.def_op(old)?);
        let is_heir = op.results.first() == Some(&old) && op.results.iter().all(|r| self.goes.contains(r));
        op.name.clone().filter(|_| is_heir)
    }

    fn base_name(&self, anchor: OpId) -> Str {
        let op = self.p.op(anchor);
        op.result().map_or_else(|| op.kind.clone(), |r| self.p.value(r).name.clone())
    }

    /// The program's value for one of the patch's, for use at `anchor`; constants of the patch are made at their
    /// first use.
    fn outer(&mut self, inner: ValueId, anchor: OpId, name: &str) -> Result<ValueId, Miss> {
        if let Some(&v) = self.map.get(&inner) {
            if !self.p.dominates(v, anchor) {
                let name = &self.p.value(v).name;
                return Err(Miss::new(format!("{name} is not defined where the replacement would stand")));
            }
            return Ok(v);
        }
        let Def::Const { data, .. } = &self.patch.body.value(inner).def else {
            return Err(Miss::new("the replacement uses a value before it is made"));
        };
        let name = self.p.fresh_name(self.p.func_of(anchor), name);
        let data = Const { tensor: data.tensor.clone(), origin: ConstOrigin::New, sealed: false };
        // In the body of the function, so that uses in any of its blocks can share it.
        let home = self.p.function(self.p.func_of(anchor)).body;
        let outer = self.p.add_const(home, &name, data);
        self.made(inner, outer);
        Ok(outer)
    }

    /// Makes the users of `old` use what the patch has for it.
    fn redirect(&mut self, old: ValueId, new: PatchValue) -> Result<Heir, Miss> {
        if let (false, Some(op)) = (self.map.contains_key(&new.0), self.p.def_op(old)) {
            let name = self.p.value(old).name.clone();
            self.outer(new.0, op, &name)?;
        }
        let new = self.new_value(new)?;
        let takes_name = self.made.contains(&new) && self.named.insert(new);
        let mut heir = Heir { value: new, takes_name, outputs: 0 };
        for u in self.p.uses(old) {
            match u.user {
                User::Op(op) if !self.p.dominates(new, op) => {
                    return Err(Miss::new("a user stands before the replacement"));
                }
                User::Op(op) if !takes_name && self.p.op(op).sealed => {
                    return Err(Miss::new("a user carries fields that this build does not understand"));
                }
                User::Op(op) => {
                    self.p.set_operand(op, u.slot as usize, new);
                    self.done.touched.push(op);
                }
                User::Output(block) => {
                    heir.outputs += usize::from(self.is_interface(block));
                    self.p.set_output(block, u.slot as usize, new);
                }
            }
        }
        Ok(heir)
    }

    /// Whether a block's outputs are those of a function, which go by their names.
    fn is_interface(&self, block: BlockId) -> bool {
        self.p.block(block).parent.is_none()
    }

    fn new_value(&self, new: PatchValue) -> Result<ValueId, Miss> {
        self.map.get(&new.0).copied().ok_or(Miss::new("the replacement of a value is not in the patch"))
    }

    /// Gives the replacement the name of what it replaces: outputs keep their names, and users their bytes.
    fn pass_name(&mut self, old: ValueId, heir: Heir) -> Result<(), Miss> {
        let (new, name) = (heir.value, self.p.value(old).name.clone());
        if !heir.takes_name {
            return self.keep_output_name(&heir, &name);
        }
        let func = self.p.block(self.p.value_block(new)).func;
        if self.p.def_op(old).is_some_and(|op| self.p.is_alive(op)) {
            if self.sealed_neighbour(old) {
                return Err(Miss::new("a value to be renamed belongs to an op that must not change"));
            }
            let other = self.p.fresh_name(func, &format!("{name}_original"));
            self.p.rename(old, &other);
        }
        self.p.rename(new, &name);
        Ok(())
    }

    /// A value that has its own name and now stands for outputs of another name must take that one; what is an output
    /// under its own name cannot.
    fn keep_output_name(&mut self, heir: &Heir, name: &str) -> Result<(), Miss> {
        let new = heir.value;
        if heir.outputs == 0 || &*self.p.value(new).name == name {
            return Ok(());
        }
        let users = self.p.uses(new);
        let all = users.iter().filter(|u| matches!(u.user, User::Output(b) if self.is_interface(b))).count();
        if all > heir.outputs
            || self.named.contains(&new)
            || self.p.def_op(new).is_none()
            || self.sealed_neighbour(new)
            || self.p.value(new).pinned
        {
            return Err(Miss::new("the model's output would need another op to carry its name"));
        }
        self.p.rename(new, name);
        for u in users {
            if let User::Op(op) = u.user {
                self.done.touched.push(op);
            }
        }
        Ok(())
    }

    fn sealed_neighbour(&self, value: ValueId) -> bool {
        let sealed = |u: anewrite_ir::Use| matches!(u.user, User::Op(op) if self.p.op(op).sealed);
        self.p.def_op(value).is_some_and(|op| self.p.op(op).sealed) || self.p.uses_unsorted(value).any(sealed)
    }

    /// Removes an op without users, and then those that only it used.
    fn bury(&mut self, op: OpId) {
        let mut stack = vec![op];
        while let Some(op) = stack.pop() {
            if !self.p.is_alive(op) || self.p.op(op).sealed || self.effect(op) != Effect::Pure {
                continue;
            }
            if self.dialect.bears(self.p, op) {
                continue;
            }
            let operands: Vec<ValueId> = self.p.op(op).operands.iter().map(|o| o.value).collect();
            if self.p.remove_op(op) {
                self.done.removed.push(op);
                for v in operands {
                    stack.extend(self.p.def_op(v).filter(|_| self.p.use_count(v) == 0));
                }
            }
        }
    }

    fn bury_producer(&mut self, value: ValueId) {
        if self.p.use_count(value) == 0
            && let Some(op) = self.p.def_op(value)
        {
            self.bury(op);
        }
    }

    fn effect(&self, op: OpId) -> Effect {
        effect(self.p, self.dialect, op)
    }
}

/// What an op does besides computing, nested ops included.
pub fn effect(p: &Program, dialect: &dyn Dialect, op: OpId) -> Effect {
    let o = p.op(op);
    let own = dialect.effect(&o.kind);
    let inner = o.blocks.iter().flat_map(|&b| p.walk(b)).map(|n| dialect.effect(&p.op(n).kind));
    inner.fold(own, Effect::max)
}

//! The only ways to change a program. Each keeps names, order and def-use edges in step, and can be undone.

use smallvec::SmallVec;

use crate::defuse::{Use, User};
use crate::ids::{BlockId, FuncId, OpId, ValueId};
use crate::op::{Attrs, Const, ConstOrigin, Def, Op, Operand, Str, Value};
use crate::program::{Block, DialectId, Function, Link, Program, Slot};
use crate::types::Type;

/// Distance between the labels of neighbouring ops when a block is labelled afresh.
const LABEL_GAP: u64 = 1 << 32;

/// Where a new op goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before an op, in its block.
    Before(OpId),
    /// At the end of a block.
    End(BlockId),
}

/// An op to be made. Operands must be in the program already.
#[derive(Clone, Debug)]
pub struct NewOp {
    /// Kind, operands and attributes; `results` are filled in.
    pub op: Op,
    /// Name and type of each result. Names are used as they are: take them from [`Program::fresh_name`].
    pub results: Vec<(Str, Type)>,
}

/// What was done since a mark, so that it can be undone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    AddOp(OpId),
    AddConst(ValueId),
    RemoveOp { op: OpId, before: Option<OpId> },
    ClearOutputs { block: BlockId, old: SmallVec<[ValueId; 4]> },
    SetOperand { op: OpId, slot: u32, old: ValueId },
    SetOutput { block: BlockId, slot: u32, old: ValueId },
    Rename { value: ValueId, old: Str },
    RenameOp { op: OpId, old: Option<Str> },
}

/// A point in the history of a program's edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

impl Program {
    /// Adds a function with an empty body and returns it with the body's id.
    pub fn add_function(&mut self, name: &str, opset: &str) -> (FuncId, BlockId) {
        let (name, opset) = (self.intern(name), self.intern(opset));
        let body = crate::ids::Id::from_index(self.blocks.len());
        let func = self.functions.push(Function { name, opset, body, attrs: Attrs::new() });
        self.push_block(func, None);
        (func, body)
    }

    /// Sets the attributes of a function.
    pub fn set_function_attrs(&mut self, func: FuncId, attrs: Attrs) {
        self.functions[func].attrs = attrs;
    }

    /// States a type that was not stated before.
    pub(crate) fn set_type(&mut self, value: ValueId, ty: Type) {
        self.values[value].ty = ty;
    }

    /// Adds an empty block to `op`, after those that it has.
    pub fn add_block(&mut self, op: OpId) -> BlockId {
        let func = self.func_of(op);
        let block = self.push_block(func, Some(op));
        self.ops[op].op.blocks.push(block);
        block
    }

    fn push_block(&mut self, func: FuncId, parent: Option<OpId>) -> BlockId {
        let (args, outputs) = (SmallVec::new(), SmallVec::new());
        self.blocks.push(Block { func, parent, args, outputs, first: None, last: None })
    }

    /// Adds an argument to a block.
    pub fn add_arg(&mut self, block: BlockId, name: &str, ty: Type) -> ValueId {
        let name = self.intern(name);
        let index = self.blocks[block].args.len() as u32;
        let value = self.push_value(block, Value { name, ty, def: Def::Arg { block, index }, pinned: false });
        self.blocks[block].args.push(value);
        value
    }

    /// Adds an output to a block.
    pub fn add_output(&mut self, block: BlockId, value: ValueId) {
        let slot = self.blocks[block].outputs.len() as u32;
        self.blocks[block].outputs.push(value);
        self.edges.add_use(value, Use { user: User::Output(block), slot });
    }

    /// Adds a constant that is visible in `block` and the blocks nested in it.
    pub fn add_const(&mut self, block: BlockId, name: &str, data: Const) -> ValueId {
        let name = self.intern(name);
        let ty = crate::TensorType::fixed(data.tensor.dtype(), data.tensor.dims().iter().copied());
        let def = Def::Const { block, data: Box::new(data) };
        let value = self.push_value(block, Value { name, ty: ty.into(), def, pinned: false });
        self.log(Edit::AddConst(value));
        value
    }

    fn push_value(&mut self, block: BlockId, value: Value) -> ValueId {
        let func = self.blocks[block].func;
        *self.names.entry((func, value.name.clone())).or_insert(0) += 1;
        let constant = matches!(value.def, Def::Const { .. });
        let id = self.values.push(value);
        if !constant {
            self.edges.add_value(id);
        }
        id
    }

    /// Marks a value whose name the source writes more than once.
    pub fn pin(&mut self, value: ValueId) {
        self.values[value].pinned = true;
    }

    /// Marks an op as one that no rule may match.
    pub fn seal(&mut self, op: OpId) {
        self.ops[op].op.sealed = true;
    }

    /// Adds an op and its results.
    pub fn add_op(&mut self, place: Place, new: NewOp) -> OpId {
        let NewOp { mut op, results } = new;
        let block = match place {
            Place::Before(next) => self.ops[next].block,
            Place::End(block) => block,
        };
        op.results = SmallVec::new();
        op.kind = self.intern(&op.kind.clone());
        for o in &mut op.operands {
            o.param = self.intern(&o.param.clone());
        }
        let id = self.ops.push(Slot { op, block, link: Link::default(), alive: true });
        for (index, (name, ty)) in results.into_iter().enumerate() {
            let name = self.intern(&name);
            let def = Def::Op { op: id, index: index as u32 };
            let value = self.push_value(block, Value { name, ty, def, pinned: false });
            self.ops[id].op.results.push(value);
        }
        self.link(id, place);
        self.connect(id);
        self.log(Edit::AddOp(id));
        id
    }

    /// Takes an op, and everything nested in it, out of its block. Its results must have no uses left.
    ///
    /// Returns false, and does nothing, where one still has a use.
    pub fn remove_op(&mut self, op: OpId) -> bool {
        if !self.ops[op].alive || self.ops[op].op.results.iter().any(|&r| self.edges.count(r) > 0) {
            return false;
        }
        for i in 0..self.ops[op].op.blocks.len() {
            self.clear_block(self.ops[op].op.blocks[i]);
        }
        let before = self.ops[op].link.next;
        self.detach(op);
        self.log(Edit::RemoveOp { op, before });
        true
    }

    /// Removes what a nested block holds, last op first, so that no use from inside stays behind.
    fn clear_block(&mut self, block: BlockId) {
        let old = std::mem::take(&mut self.blocks[block].outputs);
        for (slot, &value) in old.iter().enumerate() {
            self.edges.remove_use(value, Use { user: User::Output(block), slot: slot as u32 });
        }
        self.log(Edit::ClearOutputs { block, old });
        while let Some(op) = self.blocks[block].last {
            self.remove_op(op);
        }
    }

    /// Takes a constant that nothing uses out of its block: like one that stood in an argument, it is then written
    /// nowhere. Its name stays taken. Does nothing to a constant that has uses, and cannot be undone.
    pub fn drop_const(&mut self, value: ValueId) {
        if self.edges.count(value) == 0
            && let Def::Const { data, .. } = &mut self.values[value].def
        {
            data.origin = ConstOrigin::InPlace;
        }
    }

    /// Makes operand `slot` of `op` use `value`.
    pub fn set_operand(&mut self, op: OpId, slot: usize, value: ValueId) {
        let old = std::mem::replace(&mut self.ops[op].op.operands[slot].value, value);
        let slot = slot as u32;
        let u = Use { user: User::Op(op), slot };
        self.edges.remove_use(old, u);
        self.edges.add_use(value, u);
        self.log(Edit::SetOperand { op, slot, old });
    }

    /// Makes output `slot` of `block` be `value`.
    pub fn set_output(&mut self, block: BlockId, slot: usize, value: ValueId) {
        let old = std::mem::replace(&mut self.blocks[block].outputs[slot], value);
        let slot = slot as u32;
        let u = Use { user: User::Output(block), slot };
        self.edges.remove_use(old, u);
        self.edges.add_use(value, u);
        self.log(Edit::SetOutput { block, slot, old });
    }

    /// Makes every user of `old`, which is not a constant, use `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for u in self.uses(old) {
            match u.user {
                User::Op(op) => self.set_operand(op, u.slot as usize, new),
                User::Output(block) => self.set_output(block, u.slot as usize, new),
            }
        }
    }

    /// Gives a value another name, which must be free.
    pub fn rename(&mut self, value: ValueId, name: &str) {
        let name = self.intern(name);
        let old = self.swap_name(value, name);
        self.log(Edit::Rename { value, old });
    }

    /// Gives an op another name attribute.
    pub fn rename_op(&mut self, op: OpId, name: Option<Str>) {
        let old = std::mem::replace(&mut self.ops[op].op.name, name);
        self.log(Edit::RenameOp { op, old });
    }

    /// Starts to record edits, or goes on, and returns the present point.
    pub fn mark(&mut self) -> Mark {
        Mark(self.journal.get_or_insert_default().edits.len())
    }

    /// The edits since `mark`, in order.
    pub(crate) fn edits_since(&self, mark: Mark) -> &[Edit] {
        self.journal.as_ref().and_then(|j| j.edits.get(mark.0..)).unwrap_or_default()
    }

    /// Undoes every edit since `mark`. Identities made since then stay taken.
    pub fn rollback(&mut self, mark: Mark) {
        let Some(mut journal) = self.journal.take() else { return };
        while journal.edits.len() > mark.0 {
            if let Some(edit) = journal.edits.pop() {
                self.undo(edit);
            }
        }
        self.journal = Some(journal);
        // Names that were taken back are free again, also for the next search.
        self.suffixes.clear();
    }

    /// Forgets the recorded edits: they cannot be undone any more.
    pub fn forget_edits(&mut self) {
        self.journal = None;
    }

    fn undo(&mut self, edit: Edit) {
        match edit {
            Edit::AddOp(op) => {
                self.detach(op);
            }
            Edit::AddConst(value) => self.release_name(value),
            Edit::RemoveOp { op, before } => {
                let block = self.ops[op].block;
                for i in 0..self.ops[op].op.results.len() {
                    let r = self.ops[op].op.results[i];
                    self.edges.add_value(r);
                    self.take_name(r);
                }
                self.ops[op].alive = true;
                self.link(op, before.map_or(Place::End(block), Place::Before));
                self.connect(op);
            }
            Edit::ClearOutputs { block, old } => {
                for value in old {
                    self.add_output(block, value);
                }
            }
            Edit::SetOperand { op, slot, old } => self.set_operand(op, slot as usize, old),
            Edit::SetOutput { block, slot, old } => self.set_output(block, slot as usize, old),
            Edit::Rename { value, old } => {
                self.swap_name(value, old);
            }
            Edit::RenameOp { op, old } => self.ops[op].op.name = old,
        }
    }

    fn log(&mut self, edit: Edit) {
        if let Some(j) = &mut self.journal {
            j.edits.push(edit);
        }
    }

    fn connect(&mut self, op: OpId) {
        for slot in 0..self.ops[op].op.operands.len() {
            let value = self.ops[op].op.operands[slot].value;
            self.edges.add_use(value, Use { user: User::Op(op), slot: slot as u32 });
        }
    }

    fn detach(&mut self, op: OpId) {
        for slot in (0..self.ops[op].op.operands.len()).rev() {
            let value = self.ops[op].op.operands[slot].value;
            self.edges.remove_use(value, Use { user: User::Op(op), slot: slot as u32 });
        }
        self.edges.remove_user(User::Op(op));
        for i in 0..self.ops[op].op.results.len() {
            let r = self.ops[op].op.results[i];
            self.edges.remove_value(r);
            self.release_name(r);
        }
        let (block, Link { prev, next, .. }) = (self.ops[op].block, self.ops[op].link);
        match prev {
            Some(p) => self.ops[p].link.next = next,
            None => self.blocks[block].first = next,
        }
        match next {
            Some(n) => self.ops[n].link.prev = prev,
            None => self.blocks[block].last = prev,
        }
        self.ops[op].alive = false;
    }

    fn link(&mut self, op: OpId, place: Place) {
        let (block, prev, next) = match place {
            Place::Before(next) => (self.ops[next].block, self.ops[next].link.prev, Some(next)),
            Place::End(block) => (block, self.blocks[block].last, None),
        };
        match prev {
            Some(p) => self.ops[p].link.next = Some(op),
            None => self.blocks[block].first = Some(op),
        }
        match next {
            Some(n) => self.ops[n].link.prev = Some(op),
            None => self.blocks[block].last = Some(op),
        }
        let low = prev.map_or(0, |p| self.ops[p].link.label);
        let label = match next {
            None => low.checked_add(LABEL_GAP),
            Some(n) => {
                let high = self.ops[n].link.label;
                (high - low > 1).then_some(low + (high - low) / 2)
            }
        };
        self.ops[op].link = Link { prev, next, label: label.unwrap_or(0) };
        if label.is_none() {
            self.relabel(block);
        }
    }

    fn relabel(&mut self, block: BlockId) {
        let mut at = self.blocks[block].first;
        let mut label = 0;
        while let Some(op) = at {
            label += LABEL_GAP;
            self.ops[op].link.label = label;
            at = self.ops[op].link.next;
        }
    }

    fn swap_name(&mut self, value: ValueId, name: Str) -> Str {
        self.release_name(value);
        let old = std::mem::replace(&mut self.values[value].name, name);
        self.take_name(value);
        old
    }

    fn take_name(&mut self, value: ValueId) {
        let func = self.blocks[self.value_block(value)].func;
        *self.names.entry((func, self.values[value].name.clone())).or_insert(0) += 1;
    }

    fn release_name(&mut self, value: ValueId) {
        let func = self.blocks[self.value_block(value)].func;
        let key = (func, self.values[value].name.clone());
        if let Some(n) = self.names.get_mut(&key) {
            *n -= 1;
            if *n == 0 {
                self.names.remove(&key);
            }
        }
    }
}

impl NewOp {
    /// An op without operands, attributes and blocks.
    pub fn new(kind: &str) -> NewOp {
        let op = Op {
            kind: kind.into(),
            name: None,
            operands: Vec::new(),
            attrs: Vec::new(),
            blocks: SmallVec::new(),
            results: SmallVec::new(),
            sealed: false,
        };
        NewOp { op, results: Vec::new() }
    }

    /// Adds an operand, bound by name.
    #[must_use]
    pub fn operand(mut self, param: &str, value: ValueId) -> NewOp {
        self.op.operands.push(Operand { param: param.into(), value, binding: Default::default() });
        self
    }

    /// Adds a result.
    #[must_use]
    pub fn result(mut self, name: &str, ty: impl Into<Type>) -> NewOp {
        self.results.push((name.into(), ty.into()));
        self
    }
}

impl Default for Program {
    fn default() -> Self {
        Program::new(DialectId::Mil)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::{DType, Tensor};

    use super::*;
    use crate::TensorType;

    fn t(dims: [u64; 2]) -> Type {
        TensorType::fixed(DType::F16, dims).into()
    }

    /// x -> relu a -> relu b, with a used twice by c.
    fn sample() -> (Program, BlockId, [ValueId; 4], [OpId; 3]) {
        let mut p = Program::new(DialectId::Mil);
        let (_, b) = p.add_function("main", "CoreML6");
        let x = p.add_arg(b, "x", t([2, 3]));
        let a = p.add_op(Place::End(b), NewOp::new("relu").operand("x", x).result("a", t([2, 3])));
        let va = p.op(a).result().unwrap();
        let r = p.add_op(Place::End(b), NewOp::new("relu").operand("x", va).result("b", t([2, 3])));
        let vb = p.op(r).result().unwrap();
        let c = NewOp::new("add").operand("x", va).operand("y", va).result("c", t([2, 3]));
        let c = p.add_op(Place::End(b), c);
        let vc = p.op(c).result().unwrap();
        p.add_output(b, vb);
        p.add_output(b, vc);
        (p, b, [x, va, vb, vc], [a, r, c])
    }

    fn shape(p: &Program, b: BlockId) -> Vec<String> {
        let line = |op| {
            let o = p.op(op);
            let args: Vec<&str> = o.operands.iter().map(|o| &*p.value(o.value).name).collect();
            format!("{} {:?} -> {}", o.kind, args, p.value(o.results[0]).name)
        };
        let outs = p.block(b).outputs.iter().map(|&v| p.value(v).name.to_string());
        p.ops(b).map(line).chain(outs).collect()
    }

    #[test]
    fn rollback_restores_order_names_and_uses() {
        let (mut p, b, [x, va, vb, vc], [a, r, c]) = sample();
        let before = shape(&p, b);
        let mark = p.mark();
        p.replace_uses(va, x);
        assert!(p.remove_op(a));
        p.rename(vb, "a");
        let k = Const { tensor: Tensor::i32(4), origin: ConstOrigin::New, sealed: false };
        let k = p.add_const(b, "k", k);
        let n = NewOp::new("mul").operand("x", x).operand("y", k).result("m", t([2, 3]));
        let n = p.add_op(Place::Before(c), n);
        p.set_output(b, 1, p.op(n).result().unwrap());
        assert!(p.remove_op(c));
        assert!(!p.remove_op(r), "r's result is still an output");
        assert_ne!(shape(&p, b), before);
        p.rollback(mark);
        assert_eq!(shape(&p, b), before);
        assert_eq!((p.use_count(x), p.use_count(va), p.use_count(vc)), (1, 3, 1));
        assert_eq!(p.uses(va).iter().map(|u| u.slot).collect::<Vec<_>>(), [0, 0, 1]);
        let f = p.func_of(a);
        assert!(!p.has_name(f, "k") && !p.has_name(f, "m") && p.has_name(f, "a"));
        assert!(p.is_before(a, r) && p.is_before(r, c));
    }

    #[test]
    fn many_insertions_at_one_place_keep_their_order() {
        let (mut p, b, [x, ..], [a, ..]) = sample();
        let mut before = Vec::new();
        for i in 0..200 {
            let n = NewOp::new("relu").operand("x", x).result(&format!("n{i}"), t([2, 3]));
            before.push(p.add_op(Place::Before(a), n));
        }
        let order: Vec<OpId> = p.ops(b).take(200).collect();
        assert_eq!(order, before);
        assert!(order.windows(2).all(|w| p.is_before(w[0], w[1])) && p.is_before(order[199], a));
    }

    #[test]
    fn fresh_names_do_not_collide() {
        let (mut p, ..) = sample();
        let f = p.functions().next().unwrap().0;
        assert_eq!(&*p.fresh_name(f, "a"), "a_1");
        assert_eq!(&*p.fresh_name(f, "q"), "q");
    }
}

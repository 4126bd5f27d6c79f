//! Programs: who owns what, and how to read it. Changes are in [`crate::edit`].

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::defuse::{DefUse, Use};
use crate::edit::Journal;
use crate::ids::{BlockId, FuncId, Id, OpId, Table, ValueId};
use crate::op::{Attrs, Const, Def, Op, Str, Value};
use crate::types::{TensorType, Type};

/// Which set of ops a program is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialectId {
    /// ML Program ops.
    Mil,
    /// NeuralNetwork layers, as ops named `nn.<layer>`.
    Nn,
}

/// A named entry into the program.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name; `main` where the format has none.
    pub name: Str,
    /// The opset of its active specialisation, as the file spells it (`CoreML6`); empty for NeuralNetworks.
    pub opset: Str,
    /// Its body, whose arguments are the function's inputs.
    pub body: BlockId,
    /// Its attributes, for the text form.
    pub attrs: Attrs,
}

/// A run of ops with arguments and outputs.
#[derive(Clone, Debug)]
pub struct Block {
    /// The function it is in.
    pub func: FuncId,
    /// The op that it is nested in; `None` for a body.
    pub parent: Option<OpId>,
    /// What it takes.
    pub args: SmallVec<[ValueId; 4]>,
    /// What it gives.
    pub outputs: SmallVec<[ValueId; 4]>,
    pub(crate) first: Option<OpId>,
    pub(crate) last: Option<OpId>,
}

/// Where an op stands in its block: neighbours, and a label that grows along the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) prev: Option<OpId>,
    pub(crate) next: Option<OpId>,
    pub(crate) label: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) op: Op,
    pub(crate) block: BlockId,
    pub(crate) link: Link,
    pub(crate) alive: bool,
}

/// A model's graph: functions of blocks of ops.
///
/// Identities stay valid for the life of the program; those of removed ops and values are not given again.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which set of ops it is written in.
    pub dialect: DialectId,
    /// Attributes of the program itself, for the text form.
    pub attrs: Attrs,
    pub(crate) functions: Table<FuncId, Function>,
    pub(crate) blocks: Table<BlockId, Block>,
    pub(crate) ops: Table<OpId, Slot>,
    pub(crate) values: Table<ValueId, Value>,
    pub(crate) edges: DefUse,
    pub(crate) names: FxHashMap<(FuncId, Str), u32>,
    pub(crate) suffixes: FxHashMap<(FuncId, Str), u32>,
    pub(crate) strings: FxHashMap<Str, ()>,
    pub(crate) journal: Option<Journal>,
}

impl Program {
    /// An empty program.
    pub fn new(dialect: DialectId) -> Self {
        Program {
            dialect,
            attrs: Vec::new(),
            functions: Table::default(),
            blocks: Table::default(),
            ops: Table::default(),
            values: Table::default(),
            edges: DefUse::default(),
            names: FxHashMap::default(),
            suffixes: FxHashMap::default(),
            strings: FxHashMap::default(),
            journal: None,
        }
    }

    /// One shared copy of `text`.
    pub fn intern(&mut self, text: &str) -> Str {
        if let Some((s, ())) = self.strings.get_key_value(text) {
            return s.clone();
        }
        let s: Str = text.into();
        self.strings.insert(s.clone(), ());
        s
    }

    /// The functions in order of the file.
    pub fn functions(&self) -> impl Iterator<Item = (FuncId, &Function)> {
        self.functions.iter()
    }

    /// A function.
    pub fn function(&self, id: FuncId) -> &Function {
        &self.functions[id]
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id]
    }

    /// All blocks, nested ones included, in order of their making.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockId, &Block)> {
        self.blocks.iter()
    }

    /// An op. Removed ops still answer, as they were.
    pub fn op(&self, id: OpId) -> &Op {
        &self.ops[id].op
    }

    /// Whether the op is in a block.
    pub fn is_alive(&self, id: OpId) -> bool {
        self.ops.get(id).is_some_and(|s| s.alive)
    }

    /// The block that holds the op (or held it).
    pub fn block_of(&self, id: OpId) -> BlockId {
        self.ops[id].block
    }

    /// The function that holds the op.
    pub fn func_of(&self, id: OpId) -> FuncId {
        self.blocks[self.block_of(id)].func
    }

    /// Ops of one block in order, nested ones not included.
    pub fn ops(&self, block: BlockId) -> impl Iterator<Item = OpId> + '_ {
        std::iter::successors(self.blocks[block].first, |&op| self.ops[op].link.next)
    }

    /// Ops of one block from the last to the first.
    pub fn ops_rev(&self, block: BlockId) -> impl Iterator<Item = OpId> + '_ {
        std::iter::successors(self.blocks[block].last, |&op| self.ops[op].link.prev)
    }

    /// Ops of a block and of the blocks nested in it, each before the ops nested in it.
    pub fn walk(&self, block: BlockId) -> impl Iterator<Item = OpId> + '_ {
        let mut stack = vec![self.blocks[block].first];
        std::iter::from_fn(move || {
            loop {
                match stack.pop()? {
                    None => continue,
                    Some(op) => {
                        stack.push(self.ops[op].link.next);
                        for &b in self.ops[op].op.blocks.iter().rev() {
                            stack.push(self.blocks[b].first);
                        }
                        return Some(op);
                    }
                }
            }
        })
    }

    /// All living ops of all functions in program order.
    pub fn all_ops(&self) -> impl Iterator<Item = OpId> + '_ {
        self.functions.iter().flat_map(|(_, f)| self.walk(f.body))
    }

    /// Number of identities given to ops so far; bounds every [`OpId`]'s index.
    pub fn op_bound(&self) -> usize {
        self.ops.len()
    }

    /// Number of identities given to values so far; bounds every [`ValueId`]'s index.
    pub fn value_bound(&self) -> usize {
        self.values.len()
    }

    /// Whether `a` stands before `b`, both in one block.
    pub fn is_before(&self, a: OpId, b: OpId) -> bool {
        let (a, b) = (&self.ops[a], &self.ops[b]);
        a.block == b.block && a.link.label < b.link.label
    }

    /// The op after `op` in its block.
    pub fn next_op(&self, op: OpId) -> Option<OpId> {
        self.ops[op].link.next
    }

    /// The op before `op` in its block.
    pub fn prev_op(&self, op: OpId) -> Option<OpId> {
        self.ops[op].link.prev
    }

    /// A value. Values of removed ops still answer.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id]
    }

    /// All values ever made, those of removed ops included.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.values.iter()
    }

    /// The type that the file states for a value.
    pub fn ty(&self, id: ValueId) -> &Type {
        &self.values[id].ty
    }

    /// The tensor type of a value, if it is one.
    pub fn tensor_type(&self, id: ValueId) -> Option<&TensorType> {
        self.values[id].ty.tensor()
    }

    /// The op that defines a value.
    pub fn def_op(&self, id: ValueId) -> Option<OpId> {
        match self.values[id].def {
            Def::Op { op, .. } => Some(op),
            _ => None,
        }
    }

    /// The constant behind a value.
    pub fn constant(&self, id: ValueId) -> Option<&Const> {
        match &self.values[id].def {
            Def::Const { data, .. } => Some(data),
            _ => None,
        }
    }

    /// The block in which a value is defined.
    pub fn value_block(&self, id: ValueId) -> BlockId {
        match self.values[id].def {
            Def::Op { op, .. } => self.ops[op].block,
            Def::Arg { block, .. } | Def::Const { block, .. } => block,
        }
    }

    /// Uses of a value, sorted by user; being an output of a block counts as one. Empty for constants, whose
    /// users are not tracked one by one: see [`Program::use_count`].
    pub fn uses(&self, id: ValueId) -> SmallVec<[Use; 4]> {
        self.edges.uses(id)
    }

    /// The same in no order, and found one by one: for questions that the first few can answer. A value may have as
    /// many uses as there are ops.
    pub fn uses_unsorted(&self, id: ValueId) -> impl Iterator<Item = Use> + '_ {
        self.edges.uses_unsorted(id)
    }

    /// Number of uses of a value, constants included.
    pub fn use_count(&self, id: ValueId) -> usize {
        self.edges.count(id)
    }

    /// Whether the value is an output of some block.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.edges.output_count(id) > 0
    }

    /// Whether `inner` is `outer` or nested in it, at any depth.
    pub fn is_within(&self, inner: BlockId, outer: BlockId) -> bool {
        let mut at = Some(inner);
        while let Some(b) = at {
            if b == outer {
                return true;
            }
            at = self.blocks[b].parent.map(|op| self.ops[op].block);
        }
        false
    }

    /// Whether a value is defined where `op` could use it: before it in its block, or in an enclosing one before
    /// the op that it is nested in.
    pub fn dominates(&self, value: ValueId, op: OpId) -> bool {
        let home = self.value_block(value);
        let mut at = op;
        while self.ops[at].block != home {
            match self.blocks[self.ops[at].block].parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        match self.def_op(value) {
            Some(def) => self.ops[def].alive && self.ops[def].link.label < self.ops[at].link.label,
            None => true,
        }
    }

    /// Whether `name` is taken in `func`.
    pub fn has_name(&self, func: FuncId, name: &str) -> bool {
        self.strings.get_key_value(name).is_some_and(|(s, ())| self.names.contains_key(&(func, s.clone())))
    }

    /// A name that is not taken in `func`: `base`, else `base_1`, `base_2`…
    pub fn fresh_name(&mut self, func: FuncId, base: &str) -> Str {
        let base = self.intern(base);
        if !self.names.contains_key(&(func, base.clone())) {
            return base;
        }
        let mut n = self.suffixes.get(&(func, base.clone())).copied().unwrap_or(0);
        loop {
            n += 1;
            let name = self.intern(&format!("{base}_{n}"));
            if !self.names.contains_key(&(func, name.clone())) {
                self.suffixes.insert((func, base), n);
                return name;
            }
        }
    }

    /// Number of living ops.
    pub fn op_count(&self) -> usize {
        self.ops.iter().filter(|(_, s)| s.alive).count()
    }
}

impl Program {
    /// Every identity of a living op, in order of their making.
    pub fn op_ids(&self) -> impl Iterator<Item = OpId> + '_ {
        (0..self.ops.len()).map(OpId::from_index).filter(|&op| self.ops[op].alive)
    }
}

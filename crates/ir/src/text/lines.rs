//! What stands on each line of a function, in order, before any of it is put into words.

use rustc_hash::{FxHashMap, FxHashSet};

use super::PrintOptions;
use crate::ids::{BlockId, FuncId, OpId, Side, ValueId};
use crate::op::{Binding, ConstOrigin, Operand};
use crate::program::Program;

/// One line of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// How many blocks it is nested in; 0 for a function's first and last line.
    pub depth: u32,
    /// What stands on it.
    pub content: LineContent,
}

/// What stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineContent {
    /// A function's name and arguments.
    Signature(FuncId),
    /// A constant that is not written where it is used.
    Constant(ValueId),
    /// An op; where it has blocks, the line opens the first.
    Op(OpId),
    /// The outputs of nested block `ended`, and the arguments of the next one if there is one.
    NestedEnd {
        /// The op that the block is nested in.
        op: OpId,
        /// Position of the block that ends.
        ended: u32,
    },
    /// A function's outputs.
    End(FuncId),
}

/// Which constants stand on lines of their own, and which suffix tells values of one name apart.
pub(super) struct Layout {
    /// `@n` after a name that several values share.
    pub(super) suffixes: FxHashMap<ValueId, u32>,
    /// Constants that are outputs of a block, and so need a name.
    outputs: FxHashSet<ValueId>,
    /// `const` ops that nothing uses, by block.
    unused: FxHashMap<BlockId, Vec<ValueId>>,
}

impl Layout {
    pub(super) fn new(p: &Program, o: &PrintOptions<'_>) -> Layout {
        let mut layout = Layout {
            suffixes: FxHashMap::default(),
            outputs: FxHashSet::default(),
            unused: FxHashMap::default(),
        };
        for (_, block) in p.blocks() {
            layout.outputs.extend(block.outputs.iter().filter(|&&v| p.constant(v).is_some()));
        }
        for (id, value) in p.values() {
            let block = p.value_block(id);
            let kept = match p.constant(id) {
                // one whose name is free again was taken back by an undo
                Some(c) => matches!(c.origin, ConstOrigin::ConstOp { .. }) && p.use_count(id) == 0,
                None => false,
            };
            if kept && p.has_name(p.block(block).func, &value.name) {
                layout.unused.entry(block).or_default().push(id);
            }
        }
        for (func, _) in p.functions() {
            layout.number(p, o, func);
        }
        layout
    }

    /// Whether a constant stands in the argument that uses it.
    pub(super) fn is_inline(&self, p: &Program, o: &PrintOptions<'_>, use_: &Operand) -> bool {
        let Some(c) = p.constant(use_.value) else { return false };
        use_.binding != Binding::Name
            || (c.tensor.count() <= o.style.inline_limit()
                && !c.sealed
                && !p.value(use_.value).pinned
                && !self.outputs.contains(&use_.value))
    }

    /// The lines of a function.
    pub(super) fn lines(&self, p: &Program, o: &PrintOptions<'_>, func: FuncId) -> Vec<Line> {
        let mut walk =
            Walk { p, o, layout: self, out: Vec::new(), printed: Side::new(false), open: Vec::new() };
        let body = p.function(func).body;
        walk.push(LineContent::Signature(func));
        walk.block(body);
        walk.push(LineContent::End(func));
        walk.out
    }

    /// Gives a suffix to pinned values and to whatever else shares its name with an earlier one.
    fn number(&mut self, p: &Program, o: &PrintOptions<'_>, func: FuncId) {
        let mut seen: FxHashMap<&str, u32> = FxHashMap::default();
        for line in self.lines(p, o, func) {
            for value in defined_on(p, line.content) {
                let v = p.value(value);
                let earlier = seen.entry(&v.name).or_insert(0);
                if v.pinned || *earlier > 0 {
                    self.suffixes.insert(value, *earlier);
                }
                *earlier += 1;
            }
        }
    }
}

/// The values that a line defines.
pub(super) fn defined_on(p: &Program, content: LineContent) -> Vec<ValueId> {
    let args =
        |op: OpId, i: u32| p.op(op).blocks.get(i as usize).map_or(Vec::new(), |&b| p.block(b).args.to_vec());
    match content {
        LineContent::Signature(f) => p.block(p.function(f).body).args.to_vec(),
        LineContent::Constant(v) => vec![v],
        LineContent::Op(op) => {
            let mut all = p.op(op).results.to_vec();
            all.extend(args(op, 0));
            all
        }
        LineContent::NestedEnd { op, ended } => args(op, ended + 1),
        LineContent::End(_) => Vec::new(),
    }
}

/// A block whose lines are being made.
struct Open {
    block: BlockId,
    /// Constants of this block that were first met in a block nested in it.
    hoisted: Vec<ValueId>,
}

struct Walk<'a> {
    p: &'a Program,
    o: &'a PrintOptions<'a>,
    layout: &'a Layout,
    out: Vec<Line>,
    printed: Side<ValueId, bool>,
    open: Vec<Open>,
}

impl Walk<'_> {
    fn push(&mut self, content: LineContent) {
        self.out.push(Line { depth: self.open.len() as u32, content });
    }

    fn block(&mut self, block: BlockId) {
        let p = self.p;
        self.open.push(Open { block, hoisted: Vec::new() });
        for op in p.ops(block) {
            let start = self.out.len();
            for x in &p.op(op).operands {
                if !self.layout.is_inline(p, self.o, x) {
                    self.constant(x.value);
                }
            }
            self.push(LineContent::Op(op));
            for (i, &nested) in p.op(op).blocks.iter().enumerate() {
                self.block(nested);
                self.push(LineContent::NestedEnd { op, ended: i as u32 });
            }
            self.lower_hoisted(start);
        }
        let unused = self.layout.unused.get(&block);
        for &v in p.block(block).outputs.iter().chain(unused.into_iter().flatten()) {
            self.constant(v);
        }
        self.open.pop();
    }

    /// A line for a constant, unless it has one already: in its own block if that is open, else here.
    fn constant(&mut self, value: ValueId) {
        if self.p.constant(value).is_none() || self.printed[value] {
            return;
        }
        self.printed.set(value, true);
        let home = self.p.value_block(value);
        let inner = self.open.last().map(|o| o.block);
        match self.open.iter_mut().find(|o| o.block == home) {
            Some(outer) if inner != Some(home) => outer.hoisted.push(value),
            _ => self.push(LineContent::Constant(value)),
        }
    }

    /// Puts the constants that nested blocks asked for before the op that starts at line `start`.
    fn lower_hoisted(&mut self, start: usize) {
        let depth = self.open.len() as u32;
        let Some(open) = self.open.last_mut() else { return };
        let lines = std::mem::take(&mut open.hoisted).into_iter();
        let lines = lines.map(|v| Line { depth, content: LineContent::Constant(v) });
        self.out.splice(start..start, lines);
    }
}

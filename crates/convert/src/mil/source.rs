//! Where each part of an imported program is in its file, and what it was called there.

use anewrite_ir::{BlockId, Id, OpId, Side, Str, ValueId};
use rustc_hash::FxHashMap;

use crate::read::Span;

/// The source of a program.
#[derive(Debug, Default)]
pub(crate) struct ProgramSource {
    /// The functions in order.
    pub(super) functions: Vec<FunctionSource>,
    /// Imported blocks, by their identities.
    pub(super) blocks: Vec<BlockSource>,
    /// Imported ops, by their identities.
    pub(super) ops: Vec<OpSource>,
    /// Values and the names they had, by ranges that blocks and ops hold.
    pub(super) names: Vec<(ValueId, Str)>,
    /// Bindings that are no operands, by op: slots of [`super::view::OpView`].
    pub(super) skipped: FxHashMap<OpId, Vec<usize>>,
    /// Where among the items of its block each `const` op is.
    pub(super) places: Side<ValueId, Option<u32>>,
    /// The blob of each constant that is in a weight file, as an index of the model's blob references.
    pub(super) blobs: Side<ValueId, Option<u32>>,
}

/// A function of the source.
#[derive(Debug)]
pub(super) struct FunctionSource {
    pub(super) body: BlockId,
    /// The content of the `Function` message.
    pub(super) content: Span,
}

/// A run of [`ProgramSource::names`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    first: u32,
    len: u32,
}

/// A block of the source.
#[derive(Debug)]
pub(super) struct BlockSource {
    /// The content of the `Block` message.
    pub(super) content: Span,
    /// Its ops and constants in order of the file.
    pub(super) items: Vec<Item>,
    /// Its arguments.
    pub(super) args: Run,
    /// Its outputs.
    pub(super) outputs: Run,
}

/// An `Operation` of a block.
#[derive(Debug)]
pub(super) struct Item {
    /// The field, tag included.
    pub(super) field: Span,
    /// The content of the message.
    pub(super) content: Span,
    /// What it became.
    pub(super) what: ItemKind,
}

#[derive(Debug)]
pub(super) enum ItemKind {
    /// An op.
    Op(OpId),
    /// A constant with the name it had, and whether nothing used it.
    Const { value: ValueId, name: Str, unused: bool },
}

/// What an op was when it was read.
#[derive(Debug)]
pub(super) struct OpSource {
    /// The content of its message.
    pub(super) content: Span,
    pub(super) name: Option<Str>,
    pub(super) operands: Run,
    pub(super) results: Run,
}

impl BlockSource {
    pub(super) fn new(content: Span) -> BlockSource {
        BlockSource { content, items: Vec::new(), args: Run::default(), outputs: Run::default() }
    }
}

impl ProgramSource {
    /// Sets the source of a block. Blocks are set in order of their identities.
    pub(super) fn set_block(&mut self, block: BlockId, source: BlockSource) {
        debug_assert_eq!(block.index(), self.blocks.len());
        self.blocks.push(source);
    }

    pub(super) fn block_mut(&mut self, block: BlockId) -> Option<&mut BlockSource> {
        self.blocks.get_mut(block.index())
    }

    /// Adds a run of names.
    pub(super) fn run(&mut self, names: impl IntoIterator<Item = (ValueId, Str)>) -> Run {
        let first = self.names.len();
        self.names.extend(names);
        Run { first: first as u32, len: (self.names.len() - first) as u32 }
    }

    /// The values and names of a run.
    pub(super) fn names_of(&self, run: Run) -> &[(ValueId, Str)] {
        let (first, len) = (run.first as usize, run.len as usize);
        self.names.get(first..first + len).unwrap_or_default()
    }

    /// The source of an op that was imported.
    pub(super) fn op(&self, op: OpId) -> Option<&OpSource> {
        self.ops.get(op.index())
    }

    /// The source of a block that was imported.
    pub(super) fn block(&self, block: BlockId) -> Option<&BlockSource> {
        self.blocks.get(block.index())
    }
}

//! Where each layer of an imported network is in its file, and what its blobs were called there.

use anewrite_ir::{BlockId, Id, OpId, Str, ValueId};

use crate::read::Span;

/// The source of a network.
#[derive(Debug, Default)]
pub(crate) struct NetworkSource {
    /// The body of its one function.
    pub(super) body: Option<BlockId>,
    /// Its blocks, by their identities.
    pub(super) blocks: Vec<BlockSource>,
    /// Its layers, by the identities of their ops.
    pub(super) layers: Vec<LayerSource>,
    /// The specification version that it needs, where all of it is understood.
    pub(super) needs: Option<i32>,
}

/// A network, or one nested in a layer.
#[derive(Debug, Default)]
pub(super) struct BlockSource {
    /// The content of the message that holds the layers.
    pub(super) content: Span,
    /// Its layers in order: the field, tag included, and the op.
    pub(super) items: Vec<(Span, OpId)>,
    /// Names of its inputs; empty for nested networks.
    pub(super) args: Vec<Str>,
    /// Names of its outputs; empty for nested networks.
    pub(super) outputs: Vec<Str>,
}

/// A layer.
#[derive(Debug)]
pub(super) struct LayerSource {
    /// The content of its message.
    pub(super) content: Span,
    pub(super) name: Option<Str>,
    /// Its operands and their names: first the blobs it reads, then those that its nested networks overwrite, then
    /// its weights.
    pub(super) operands: Vec<(ValueId, Str)>,
    pub(super) results: Vec<(ValueId, Str)>,
    /// Number of results that its message names; the others come from nested networks.
    pub(super) named_results: usize,
}

impl NetworkSource {
    /// The content of the network's message.
    pub(crate) fn content(&self) -> Option<Span> {
        self.blocks.get(self.body?.index()).map(|b| b.content.clone())
    }

    pub(super) fn block(&self, block: BlockId) -> Option<&BlockSource> {
        self.blocks.get(block.index())
    }

    pub(super) fn layer(&self, op: OpId) -> Option<&LayerSource> {
        self.layers.get(op.index())
    }
}

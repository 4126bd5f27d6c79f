//! Def-use edges, derived from operands and block outputs and kept in step with every edit.
//!
//! Constants have a use count only: they are not nodes, and a constant shared by thousands of ops must not
//! make the removal of one of them slow.

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use smallvec::SmallVec;

use crate::ids::{BlockId, OpId, Side, ValueId};

/// Who uses a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// An op, through one of its operands.
    Op(OpId),
    /// A block, as one of its outputs.
    Output(BlockId),
}

/// One use of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Use {
    /// Who uses it.
    pub user: User,
    /// Which operand, or which output of the block.
    pub slot: u32,
}

#[derive(Clone, Debug)]
enum Node {
    Value,
    User(User),
}

#[derive(Clone, Debug)]
pub(crate) struct DefUse {
    graph: StableDiGraph<Node, u32>,
    values: Side<ValueId, Option<NodeIndex>>,
    ops: Side<OpId, Option<NodeIndex>>,
    outputs: Side<BlockId, Option<NodeIndex>>,
    counts: Side<ValueId, u32>,
    /// How many of the uses are outputs of blocks.
    output_counts: Side<ValueId, u32>,
}

impl Default for DefUse {
    fn default() -> Self {
        DefUse {
            graph: StableDiGraph::new(),
            values: Side::new(None),
            ops: Side::new(None),
            outputs: Side::new(None),
            counts: Side::new(0),
            output_counts: Side::new(0),
        }
    }
}

impl DefUse {
    /// Makes a value a node. Constants are not registered.
    pub(crate) fn add_value(&mut self, value: ValueId) {
        let node = self.graph.add_node(Node::Value);
        self.values.set(value, Some(node));
    }

    pub(crate) fn remove_value(&mut self, value: ValueId) {
        if let Some(node) = self.values.entry(value).take() {
            self.graph.remove_node(node);
        }
    }

    pub(crate) fn remove_user(&mut self, user: User) {
        let slot = match user {
            User::Op(op) => self.ops.entry(op),
            User::Output(block) => self.outputs.entry(block),
        };
        if let Some(node) = slot.take() {
            self.graph.remove_node(node);
        }
    }

    fn user_node(&mut self, user: User) -> NodeIndex {
        let slot = match user {
            User::Op(op) => self.ops.entry(op),
            User::Output(block) => self.outputs.entry(block),
        };
        *slot.get_or_insert_with(|| self.graph.add_node(Node::User(user)))
    }

    pub(crate) fn add_use(&mut self, value: ValueId, u: Use) {
        *self.counts.entry(value) += 1;
        if matches!(u.user, User::Output(_)) {
            *self.output_counts.entry(value) += 1;
        }
        if let Some(from) = self.values[value] {
            let to = self.user_node(u.user);
            self.graph.add_edge(from, to, u.slot);
        }
    }

    pub(crate) fn remove_use(&mut self, value: ValueId, u: Use) {
        let count = self.counts.entry(value);
        *count = count.saturating_sub(1);
        if matches!(u.user, User::Output(_)) {
            let count = self.output_counts.entry(value);
            *count = count.saturating_sub(1);
        }
        if self.values[value].is_none() {
            return;
        }
        let to = self.user_node(u.user);
        let from = self.values[value];
        let edge = self.graph.edges_directed(to, Incoming);
        let edge = edge.filter(|e| Some(e.source()) == from && *e.weight() == u.slot).map(|e| e.id()).next();
        if let Some(edge) = edge {
            self.graph.remove_edge(edge);
        }
    }

    pub(crate) fn count(&self, value: ValueId) -> usize {
        self.counts[value] as usize
    }

    /// How many of the uses are outputs of blocks.
    pub(crate) fn output_count(&self, value: ValueId) -> usize {
        self.output_counts[value] as usize
    }

    /// Uses sorted by user and slot, so that no order of insertion shows through. Empty for constants.
    pub(crate) fn uses(&self, value: ValueId) -> SmallVec<[Use; 4]> {
        let mut out: SmallVec<[Use; 4]> = self.uses_unsorted(value).collect();
        out.sort_unstable();
        out
    }

    /// Uses in any order, found as they are asked for.
    pub(crate) fn uses_unsorted(&self, value: ValueId) -> impl Iterator<Item = Use> + '_ {
        let edges = self.values[value].map(|node| self.graph.edges_directed(node, Outgoing));
        edges.into_iter().flatten().filter_map(|e| match self.graph.node_weight(e.target()) {
            Some(Node::User(user)) => Some(Use { user: *user, slot: *e.weight() }),
            _ => None,
        })
    }
}

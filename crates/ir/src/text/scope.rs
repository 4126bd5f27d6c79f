//! Names in sight while a function is read.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ids::ValueId;
use crate::op::Str;

/// A name and the suffix after `@`, if any.
pub(super) type Key = (Str, Option<u32>);

/// The names of one function.
#[derive(Default)]
pub(super) struct Scope {
    visible: FxHashMap<Key, ValueId>,
    /// Every name ever defined here, for names are not used twice.
    taken: FxHashSet<Key>,
    /// Names to forget at the end of each open block.
    open: Vec<Vec<Key>>,
}

impl Scope {
    pub(super) fn enter(&mut self) {
        self.open.push(Vec::new());
    }

    pub(super) fn leave(&mut self) {
        for key in self.open.pop().into_iter().flatten() {
            self.visible.remove(&key);
        }
    }

    /// Makes a name visible in the innermost block; false where it was defined before.
    pub(super) fn define(&mut self, key: Key, value: ValueId) -> bool {
        if !self.taken.insert(key.clone()) {
            return false;
        }
        if let Some(open) = self.open.last_mut() {
            open.push(key.clone());
        }
        self.visible.insert(key, value);
        true
    }

    pub(super) fn get(&self, key: &Key) -> Option<ValueId> {
        self.visible.get(key).copied()
    }

    /// Whether the name was defined, here or in a block that has ended.
    pub(super) fn was_defined(&self, key: &Key) -> bool {
        self.taken.contains(key)
    }
}

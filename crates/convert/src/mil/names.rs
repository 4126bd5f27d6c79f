//! Which value a name stands for, block by block.

use anewrite_ir::{Program, Str, ValueId};
use rustc_hash::FxHashMap;

use crate::error::{Problem, Read};

/// The names of one function.
#[derive(Default)]
pub(super) struct Names {
    visible: FxHashMap<Str, (ValueId, u32)>,
    /// What each definition hid, to be brought back at the end of its block.
    hidden: Vec<(Str, Option<(ValueId, u32)>)>,
    /// Where in `hidden` each open nested block began.
    open: Vec<usize>,
    /// Names of nested blocks that have ended: one defined again is written twice in the source.
    ended: FxHashMap<Str, ValueId>,
}

impl Names {
    /// Makes room for so many more names.
    pub(super) fn reserve(&mut self, names: usize) {
        self.visible.reserve(names);
    }

    pub(super) fn find(&self, name: &str) -> Option<ValueId> {
        self.visible.get(name).map(|&(value, _)| value)
    }

    /// Makes a value's name visible. Values that share a name with another of the function are pinned.
    pub(super) fn define(&mut self, program: &mut Program, value: ValueId) -> Read<()> {
        let name = program.value(value).name.clone();
        let depth = self.open.len() as u32;
        let old = self.visible.insert(name.clone(), (value, depth));
        match old {
            Some((_, at)) if at == depth => return Err(Problem::DefinedTwice(name.to_string()).into()),
            Some((outer, _)) => {
                program.pin(outer);
                program.pin(value);
            }
            None => {}
        }
        if let Some(&other) = self.ended.get(&name) {
            program.pin(other);
            program.pin(value);
        }
        if depth > 0 {
            self.hidden.push((name, old));
        }
        Ok(())
    }

    /// Opens a nested block.
    pub(super) fn enter(&mut self) {
        self.open.push(self.hidden.len());
    }

    /// Ends the block opened last: its names are not visible any more.
    pub(super) fn leave(&mut self) {
        let from = self.open.pop().unwrap_or(0);
        while self.hidden.len() > from {
            let Some((name, old)) = self.hidden.pop() else { break };
            let gone = match old {
                Some(outer) => self.visible.insert(name.clone(), outer),
                None => self.visible.remove(&name),
            };
            if let Some((value, _)) = gone {
                self.ended.insert(name, value);
            }
        }
    }
}

//! Rules that look at a whole program at once.

use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::Facts;
use anewrite_ir::{Dialect, Opset, Program};

use crate::patch::{Patch, PatchBuilder};

/// The part of a rule that walks a program and proposes patches.
pub trait Sweep: Sync {
    /// Proposes patches, each right whether or not the others are applied.
    fn sweep(&self, cx: &mut SweepCx<'_>);
}

/// What a sweep sees, and where its patches go.
pub struct SweepCx<'a> {
    /// The program.
    pub program: &'a Program,
    /// Inferred types and small integers.
    pub facts: &'a Facts,
    pub(crate) dims: &'a mut DimTable,
    pub(crate) dialect: &'a dyn Dialect,
    pub(crate) patches: Vec<Patch>,
}

impl SweepCx<'_> {
    /// The dialect's op definitions and effects.
    pub fn dialect(&self) -> &dyn Dialect {
        self.dialect
    }

    /// Builds one patch; it is dropped where `build` fails.
    pub fn patch<E>(&mut self, build: impl FnOnce(&mut PatchBuilder<'_>) -> Result<(), E>) {
        let opset = self.program.functions().next().and_then(|(_, f)| Opset::from_name(&f.opset));
        let opset = opset.unwrap_or(Opset::Ios15);
        let mut b = PatchBuilder::new(self.program, self.facts, self.dims, self.dialect, opset);
        if build(&mut b).is_ok() {
            let patch = b.finish();
            if !patch.is_empty() {
                self.patches.push(patch);
            }
        }
    }
}

//! Ops that give the same elements other extents.

use crate::call::{Call, Computed, one};
use crate::kernel::{Kernel, Table};

pub(crate) const TABLE: Table = &[("identity", Kernel::Any(identity))];

fn identity(call: &Call<'_>) -> Computed {
    one(call.array("x")?.clone())
}

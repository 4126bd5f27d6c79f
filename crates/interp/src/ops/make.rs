//! Ops that make tensors from extents.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];

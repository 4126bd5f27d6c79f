//! Lists of tensors.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
